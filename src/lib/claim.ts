// Claims: who waits for a piece of work at a registry. It is queued in the share of each of them, and aborted when all
// have left.

/** Somebody who waits for an answer. */
export interface Caller {
  /** Whose share of the queues the work is done in: a user's, a token's, a repository's. */
  readonly share: string;
  readonly hasLeft: boolean;
  /** Calls `act` once when the caller leaves; gives the function that forgets it. */
  onLeave(act: () => void): () => void;
}

/** A caller of a share that never leaves. */
export function stayingCaller(share: string): Caller {
  return { share, hasLeft: false, onLeave: () => () => undefined };
}

/** Work in the background, which has a share of its own. */
export const BACKGROUND: Caller = stayingCaller('background');

/** A caller left before there was an answer. */
export class CallerLeft extends Error {
  constructor() {
    super('the client left before its answer');
    this.name = 'CallerLeft';
  }
}

// Thousands may leave at once, and a stack for each would say nothing.
const LEFT = new CallerLeft();

/** Whether work that all callers have left goes on all the same, in the last one's share. */
export type OnAbandoned = () => boolean;

/** Those who wait for one piece of work. */
export class Claim {
  readonly #onAbandoned: OnAbandoned;
  readonly #shares = new Map<string, number>();
  readonly #watchers = new Set<(share: string) => void>();
  #abort: AbortController | undefined;
  #callers = 0;
  #isKept = false;
  #isAbandoned = false;

  constructor(onAbandoned: OnAbandoned = () => false) {
    this.#onAbandoned = onAbandoned;
  }

  /** A claim of one caller alone. */
  static of(caller: Caller): Claim {
    const claim = new Claim();
    claim.join(caller);
    return claim;
  }

  /** The shares of those who wait, each once; of a claim that is kept, of those who waited then. */
  get shares(): Iterable<string> {
    return this.#shares.keys();
  }

  /** Whether one share waits for both. */
  sharesWith(other: Claim): boolean {
    for (const share of this.#shares.keys()) if (other.#shares.has(share)) return true;
    return false;
  }

  /** Whether all have left, and the work is to end. */
  get isAbandoned(): boolean {
    return this.#isAbandoned;
  }

  /** Aborted when all have left. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#isAbandoned && !this.#abort.signal.aborted) this.#abort.abort(LEFT);
    return this.#abort.signal;
  }

  /** Counts a caller until it leaves, which `onLeft` is told of, or until the function that is given is called. */
  join(caller: Caller, onLeft?: () => void): () => void {
    const { share } = caller;
    this.#callers += 1;
    this.#count(share, 1);
    let isIn = true;
    const leave = (): void => {
      if (!isIn) return;
      isIn = false;
      forget();
      this.#leave(share);
    };
    const left = (): void => {
      leave();
      onLeft?.();
    };
    const forget = caller.onLeave(left);
    if (caller.hasLeft) left();
    return leave;
  }

  /** Joins, and resolves as `work` does, which is begun then. @throws CallerLeft as soon as the caller has left. */
  wait<T>(caller: Caller, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const leave = this.join(caller, () => reject(LEFT));
      work().then(resolve, reject).finally(leave);
    });
  }

  /** From now on the work goes on whoever leaves, or is over. */
  keep(): void {
    this.#isKept = true;
  }

  /** Tells of shares that come to the claim while it waits in a queue; gives the function that ends it. */
  watch(onShare: (share: string) => void): () => void {
    this.#watchers.add(onShare);
    return () => void this.#watchers.delete(onShare);
  }

  #count(share: string, by: 1 | -1): void {
    const count = (this.#shares.get(share) ?? 0) + by;
    if (count > 0) this.#shares.set(share, count);
    else this.#shares.delete(share);
    if (by > 0 && count === 1) for (const onShare of this.#watchers) onShare(share);
  }

  #leave(share: string): void {
    this.#callers -= 1;
    if (this.#isKept) return;
    if (this.#callers > 0) return this.#count(share, -1);
    if (this.#onAbandoned()) return;
    this.#isAbandoned = true;
    this.#abort?.abort(LEFT);
  }
}

/** Resolves as `work` does. @throws CallerLeft as soon as the caller has left. */
export function unlessLeft<T>(caller: Caller, work: Promise<T>): Promise<T> {
  return new Claim().wait(caller, () => work);
}
