// Slots whose transfers bring almost no bytes, offered by their holders to waiting tickets.
import type { Ticket } from './slots.ts';

/** A slot on offer; `giveWay` is called once. */
interface Offer {
  readonly ticket: Ticket;
  readonly giveWay: () => void;
}

/** Offers in the order in which they were made. */
export class Offers {
  readonly #open = new Set<Offer>();
  /** Tickets that have to give way, and have not given their slot back yet. */
  readonly #leaving = new Set<Ticket>();

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  /** Adds an offer; returns the function that takes it back. */
  add(offer: Offer): () => void {
    this.#open.add(offer);
    return () => void this.#open.delete(offer);
  }

  /** Accepts offers while more tickets wait for such a slot than slots are about to become free. */
  accept(isWanted: (offer: Offer, atLeast: number) => boolean): void {
    for (const offer of this.#open) {
      if (this.#leaving.has(offer.ticket) || !isWanted(offer, this.#leaving.size + 1)) continue;
      this.#open.delete(offer);
      this.#leaving.add(offer.ticket);
      offer.giveWay();
    }
  }

  /** A ticket gave its slot back. */
  left(ticket: Ticket): void {
    this.#leaving.delete(ticket);
  }
}
