// A budget: bytes that background work may take in a second, shared by all of it; clients' bytes come first.
import type { RateEffects } from './rate.ts';
import type { Ticket } from './slots.ts';

/** Bytes that were received count towards it; whoever is in the background waits before it takes more. */
export interface Budget {
  /**
   * Counts bytes of a ticket. In the background it resolves when more may follow; at once on a client's behalf, also
   * where the ticket is raised while it waits. Rejects when `signal` is aborted before.
   */
  spend(ticket: Ticket, bytes: number, signal?: AbortSignal): Promise<void>;
  /** Looks at those who wait again after a ticket's priority was raised. */
  poke(): void;
}

interface Waiter {
  readonly ticket: Ticket;
  readonly wake: AbortController;
}

// Shorter waits (ms) are saved up: a timer for each chunk would cost more than it limits.
const WAIT_MIN = 20;
// How far (ms) clients' bytes push the background back: it goes on, if slowly, beside clients that never end.
const YIELD_MAX = 1_000;

/** A budget without a limit: nobody waits. */
export const noBudget: Budget = { spend: () => Promise.resolve(), poke: () => undefined };

/** A {@link Budget} of so many bytes a second; what was not used before is not made up for. */
export function createBudget(bytesPerSecond: number, { clock, sleep }: RateEffects): Budget {
  const waiting = new Set<Waiter>();
  let freeAt = clock();

  /** Waits, and says whether that came to its end: a raised ticket does not. */
  async function waited(ticket: Ticket, time: number, signal: AbortSignal | undefined): Promise<boolean> {
    const waiter: Waiter = { ticket, wake: new AbortController() };
    const stop = (): void => waiter.wake.abort();
    signal?.addEventListener('abort', stop, { once: true });
    waiting.add(waiter);
    try {
      await sleep(time, waiter.wake.signal);
    } catch {
      // Woken.
    } finally {
      waiting.delete(waiter);
      signal?.removeEventListener('abort', stop);
    }
    signal?.throwIfAborted();
    return !waiter.wake.signal.aborted;
  }

  return {
    async spend(ticket, bytes, signal) {
      const now = clock();
      const cost = (bytes / bytesPerSecond) * 1_000;
      if (ticket.priority !== 'background') {
        freeAt = Math.max(freeAt, Math.min(Math.max(freeAt, now) + cost, now + YIELD_MAX));
        return;
      }
      signal?.throwIfAborted();
      freeAt = Math.max(freeAt, now) + cost;
      if (freeAt - now < WAIT_MIN) return;
      // What was not waited for is for the others.
      if (!(await waited(ticket, freeAt - now, signal))) freeAt = Math.max(clock(), freeAt - cost);
    },
    poke() {
      for (const { ticket, wake } of waiting) if (ticket.priority !== 'background') wake.abort();
    },
  };
}
