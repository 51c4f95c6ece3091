// The bandwidth budget: bytes a second that background work may take. Clients' bytes count, and never wait.
import type { RateEffects } from './rate.ts';
import type { Ticket } from './slots.ts';

/** Counts received bytes, and delays background transfers. */
export interface Budget {
  /**
   * Counts bytes of a ticket. Resolves when a background transfer may take more; at once for any other ticket, and when
   * the ticket's priority is raised meanwhile. Rejects when `signal` is aborted before.
   */
  spend(ticket: Ticket, bytes: number, signal?: AbortSignal): Promise<void>;
  /** Ends the wait of tickets whose priority was raised. */
  poke(): void;
}

interface Waiter {
  readonly ticket: Ticket;
  readonly wake: AbortController;
}

// Shorter waits (ms) are added up: a timer for each chunk would cost too much.
const WAIT_MIN = 20;
// By how much (ms) clients' bytes may delay the background, so that it never stops completely.
const YIELD_MAX = 1_000;

/** A budget without a limit. */
export const noBudget: Budget = { spend: () => Promise.resolve(), poke: () => undefined };

/** A {@link Budget} of so many bytes a second; unused bandwidth is not saved up. */
export function createBudget(bytesPerSecond: number, { clock, sleep }: RateEffects): Budget {
  const waiting = new Set<Waiter>();
  let freeAt = clock();

  /** Waits, and says whether the wait was ended early because the ticket was raised. */
  async function isWoken(ticket: Ticket, time: number, signal: AbortSignal | undefined): Promise<boolean> {
    const waiter = { ticket, wake: new AbortController() };
    const { signal: woken } = waiter.wake;
    waiting.add(waiter);
    await sleep(time, signal ? AbortSignal.any([signal, woken]) : woken).catch(() => undefined);
    waiting.delete(waiter);
    signal?.throwIfAborted();
    return woken.aborted;
  }

  return {
    async spend(ticket, bytes, signal) {
      const now = clock();
      const cost = (bytes / bytesPerSecond) * 1_000;
      const due = Math.max(freeAt, now) + cost;
      if (ticket.priority !== 'background') {
        freeAt = Math.max(freeAt, Math.min(due, now + YIELD_MAX));
        return;
      }
      signal?.throwIfAborted();
      freeAt = due;
      if (due - now < WAIT_MIN) return;
      // The time that was not waited is given back to the others.
      if (await isWoken(ticket, due - now, signal)) freeAt = Math.max(clock(), freeAt - cost);
    },
    poke() {
      for (const { ticket, wake } of waiting) if (ticket.priority !== 'background') wake.abort();
    },
  };
}
