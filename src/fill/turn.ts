// A connection's slot while others wait for it: one that brings next to nothing gives it up, and goes on in its turn.
import { unlessAborted } from '../lib/abort.ts';
import type { Slots, Ticket } from '../lib/slots.ts';

/** The slot of a connection. */
export interface Turn {
  /** Whether others wait for it. */
  isWanted(): boolean;
  /** Offers it to those who wait, or will: {@link Slots.offer}. */
  offer(giveWay: () => void): () => void;
  /**
   * Gives it up and resolves with another, which comes after those who wait; where it was slow, after those who come
   * later as well. Rejects when `signal` is aborted before.
   */
  pass(signal: AbortSignal | undefined, isSlow: boolean): Promise<void>;
}

/** The slot that a flight keeps for its own connection until it ends. */
export class FlightSlot implements Turn {
  readonly #slots: Slots;
  readonly #ticket: Ticket;
  #giveBack: () => void;
  #isOver = false;

  constructor(slots: Slots, ticket: Ticket, giveBack: () => void) {
    this.#slots = slots;
    this.#ticket = ticket;
    this.#giveBack = giveBack;
  }

  isWanted(): boolean {
    return this.#slots.isWanted(this.#ticket);
  }

  offer(giveWay: () => void): () => void {
    return this.#slots.offer(this.#ticket, giveWay);
  }

  async pass(signal: AbortSignal | undefined, isSlow: boolean): Promise<void> {
    this.#ticket.isSlow = isSlow;
    this.#giveBack();
    const next = await unlessAborted(this.#slots.takeAgain(this.#ticket), signal, (late) => late());
    if (this.#isOver) next();
    else this.#giveBack = next;
  }

  /** Gives it back for good. */
  readonly leave = (): void => {
    this.#isOver = true;
    this.#giveBack();
  };
}

/** Of a body that gives its slot back whenever it is closed, and takes one whenever it is opened. */
export function turnOfEach(slots: Slots, ticket: Ticket): Turn {
  return {
    isWanted: () => slots.isWanted(ticket),
    offer: (giveWay) => slots.offer(ticket, giveWay),
    pass(_signal, isSlow) {
      ticket.isSlow = isSlow;
      return Promise.resolve();
    },
  };
}
