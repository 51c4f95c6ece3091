// A fair queue: whoever has the fewest in service goes first, so that no share, however much it asks for, holds up another.
import type { Claim } from './claim.ts';

/**
 * How many of one share may wait unless a queue says otherwise. A farm of 500 machines behind one token, with eight layers
 * each, waits in full; more never had a turn in time.
 */
export const WAITING_MAX = 4_096;

/** What waits, in the shares of its claim. */
export interface Waiter {
  readonly claim: Claim;
}

interface Share<W> {
  inService: number;
  /** The turn in which it was served last: of equals the one goes first that has waited longest for a turn. */
  servedAt: number;
  /** In the order of their arrival. */
  readonly waiting: Set<W>;
}

/** The shares that somebody waits in, and the end of looking for more. */
interface Entry {
  readonly names: string[];
  readonly unwatch: () => void;
}

/** Who waits and who is served, by share. */
export class FairQueue<W extends Waiter> {
  readonly #shares = new Map<string, Share<W>>();
  readonly #entries = new Map<W, Entry>();
  #turn = 0;

  /** Whether nobody waits. */
  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** Whether somebody waits of whom `test` is true. */
  has(test: (waiter: W) => boolean): boolean {
    return this.hasMany(1, test);
  }

  /** Whether at least so many wait of whom `test` is true. */
  hasMany(atLeast: number, test: (waiter: W) => boolean): boolean {
    let count = 0;
    for (const waiter of this.#entries.keys()) if (test(waiter) && (count += 1) >= atLeast) return true;
    return false;
  }

  /** How many wait in the claim's share; of several shares in the one where they are fewest. */
  waitingBeside(claim: Claim): number {
    return this.#least(claim, ({ waiting }) => waiting.size);
  }

  /** How many are served in the claim's share; of several shares in the one where they are fewest. */
  inService(claim: Claim): number {
    return this.#least(claim, ({ inService }) => inService);
  }

  /** Adds somebody to the queue: in all shares of the claim, and in those that come to it. */
  add(waiter: W): void {
    const { claim } = waiter;
    const names: string[] = [];
    const enter = (name: string): void => {
      names.push(name);
      this.#shareOf(name).waiting.add(waiter);
    };
    this.#entries.set(waiter, { names, unwatch: claim.watch(enter) });
    for (const name of claim.shares) enter(name);
  }

  /** Takes somebody out of the queue; false where it was not in it. */
  remove(waiter: W): boolean {
    const entry = this.#entries.get(waiter);
    if (!entry) return false;
    this.#entries.delete(waiter);
    entry.unwatch();
    for (const name of entry.names) {
      const share = this.#shares.get(name);
      if (share?.waiting.delete(waiter)) this.#tidy(name, share);
    }
    return true;
  }

  /** Whose turn it is, of those whose share has fewer than `shareMax` in service and who fit; it stays in the queue. */
  next(shareMax: number, fits: (waiter: W) => boolean = () => true): W | undefined {
    let best: Share<W> | undefined;
    let found: W | undefined;
    for (const share of this.#shares.values()) {
      if (share.inService >= shareMax || (best && !isBefore(share, best))) continue;
      const first = firstOf(share.waiting, fits);
      if (first) [best, found] = [share, first];
    }
    return found;
  }

  /** Counts somebody as served, in the share of the claim that has the fewest; gives the function that ends it, once. */
  serve(claim: Claim): () => void {
    let [name] = claim.shares;
    for (const other of claim.shares) if (this.#inServiceOf(other) < this.#inServiceOf(name!)) name = other;
    const share = this.#shareOf((name ??= ''));
    share.inService += 1;
    share.servedAt = this.#turn += 1;
    return () => {
      share.inService -= 1;
      this.#tidy(name, share);
    };
  }

  #shareOf(name: string): Share<W> {
    const known = this.#shares.get(name);
    if (known) return known;
    const share: Share<W> = { inService: 0, servedAt: 0, waiting: new Set() };
    this.#shares.set(name, share);
    return share;
  }

  #inServiceOf(name: string): number {
    return this.#shares.get(name)?.inService ?? 0;
  }

  #least(claim: Claim, count: (share: Share<W>) => number): number {
    let least = Infinity;
    for (const name of claim.shares) {
      const share = this.#shares.get(name);
      least = Math.min(least, share ? count(share) : 0);
    }
    return least === Infinity ? 0 : least;
  }

  #tidy(name: string, share: Share<W>): void {
    if (share.inService === 0 && share.waiting.size === 0) this.#shares.delete(name);
  }
}

function isBefore(one: Share<unknown>, other: Share<unknown>): boolean {
  return one.inService < other.inService || (one.inService === other.inService && one.servedAt < other.servedAt);
}

function firstOf<W>(waiting: Set<W>, fits: (waiter: W) => boolean): W | undefined {
  for (const waiter of waiting) if (fits(waiter)) return waiter;
  return undefined;
}
