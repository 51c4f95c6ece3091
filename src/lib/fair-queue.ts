// A fair queue: the share with the fewest requests in service goes first, so that no share delays another.
import type { Claim } from './claim.ts';

/** How many requests of a share may wait, by default: enough for 500 machines with one token and eight layers each. */
export const WAITING_MAX = 4_096;

/** A request that waits in the shares of its claim. */
export interface Waiter {
  readonly claim: Claim;
}

interface Share<W> {
  inService: number;
  /** When it was served last: of equal shares the one that was served longest ago goes first. */
  servedAt: number;
  /** In the order of arrival. */
  readonly waiting: Set<W>;
}

/** The shares that a waiter is in, and the function that ends the watch for more. */
interface Entry {
  readonly names: string[];
  readonly unwatch: () => void;
}

/** Waiting requests, and how many are in service, by share. */
export class FairQueue<W extends Waiter> {
  readonly #shares = new Map<string, Share<W>>();
  readonly #entries = new Map<W, Entry>();
  #turn = 0;

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** Whether at least so many waiters pass `test`. */
  hasMany(atLeast: number, test: (waiter: W) => boolean): boolean {
    let count = 0;
    for (const waiter of this.#entries.keys()) if (test(waiter) && (count += 1) >= atLeast) return true;
    return false;
  }

  /** How many wait in the claim's share; of several shares, in the one with the fewest. */
  waitingBeside(claim: Claim): number {
    return this.#least(claim, ({ waiting }) => waiting.size);
  }

  /** How many are in service in the claim's share; of several shares, in the one with the fewest. */
  inService(claim: Claim): number {
    return this.#least(claim, ({ inService }) => inService);
  }

  /** Adds a waiter in all shares of its claim, and in those that join later. */
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

  /** Removes a waiter; false where it was not queued. */
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

  /** The next waiter that fits and whose share has fewer than `shareMax` in service; it stays in the queue. */
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

  /** Counts a claim as in service, in its share that has the fewest; returns the function that ends that, once. */
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
