// The slot of a connection to the primary. A connection that is nearly idle gives it to others that wait, and continues
// when it has a slot again.
import { unlessAborted } from '../lib/abort.ts';
import type { Slots, Ticket } from '../lib/slots.ts';

/** The slot of one connection. */
export interface ConnectionSlot {
  /** Whether others wait for it. */
  isWanted(): boolean;
  /** Offers it to the transfers that wait, now or later: {@link Slots.offer}. */
  offer(giveWay: () => void): () => void;
  /**
   * Gives the slot back and resolves with another one, after those who wait. After a slow connection, those who come
   * later go first as well. Rejects when `signal` is aborted before.
   */
  pass(signal: AbortSignal | undefined, isSlow: boolean): Promise<void>;
}

/** The slot that a fill keeps for its own connection until the transfer ends. */
export class FillSlot implements ConnectionSlot {
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

/** The slot of connections that each take one when they are opened and give it back when they are closed. */
export function slotPerBody(slots: Slots, ticket: Ticket): ConnectionSlot {
  return {
    isWanted: () => slots.isWanted(ticket),
    offer: (giveWay) => slots.offer(ticket, giveWay),
    pass(_signal, isSlow) {
      ticket.isSlow = isSlow;
      return Promise.resolve();
    },
  };
}
