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

class BandwidthBudget implements Budget {
  readonly #bytesPerSecond: number;
  readonly #effects: RateEffects;
  readonly #waiting = new Set<Waiter>();
  #freeAt: number;

  constructor(bytesPerSecond: number, effects: RateEffects) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#effects = effects;
    this.#freeAt = effects.clock();
  }

  async spend(ticket: Ticket, bytes: number, signal?: AbortSignal): Promise<void> {
    const now = this.#effects.clock();
    const cost = (bytes / this.#bytesPerSecond) * 1_000;
    const due = Math.max(this.#freeAt, now) + cost;
    if (ticket.priority !== 'background') {
      this.#freeAt = Math.max(this.#freeAt, Math.min(due, now + YIELD_MAX));
      return;
    }
    signal?.throwIfAborted();
    this.#freeAt = due;
    if (due - now < WAIT_MIN) return;
    // The time that was not waited is given back to the others.
    if (await this.#isWoken(ticket, due - now, signal)) {
      this.#freeAt = Math.max(this.#effects.clock(), this.#freeAt - cost);
    }
  }

  poke(): void {
    for (const { ticket, wake } of this.#waiting) if (ticket.priority !== 'background') wake.abort();
  }

  /** Waits, and says whether the wait was ended early because the ticket was raised. */
  async #isWoken(ticket: Ticket, time: number, signal: AbortSignal | undefined): Promise<boolean> {
    const wake = new AbortController();
    const waiter = { ticket, wake };
    this.#waiting.add(waiter);
    try {
      await this.#effects.sleep(time, signal ? AbortSignal.any([signal, wake.signal]) : wake.signal);
    } catch {
      // Ended early.
    } finally {
      this.#waiting.delete(waiter);
    }
    signal?.throwIfAborted();
    return wake.signal.aborted;
  }
}

/** A {@link Budget} of so many bytes a second; unused bandwidth is not saved up. */
export function createBudget(bytesPerSecond: number, effects: RateEffects): Budget {
  return new BandwidthBudget(bytesPerSecond, effects);
}
