// Claims: the callers that wait for one piece of work. It is queued in the share of each of them, and aborted when all have
// left.

/** A caller that waits for an answer: a client's request, or background work. */
export interface Caller {
  /** The share of the queues that the work is done in: a user's, a token's or a repository's. */
  readonly share: string;
  readonly hasLeft: boolean;
  /** Calls `act` once when the caller leaves; returns the function that cancels that. */
  onLeave(act: () => void): () => void;
}

/** A caller of a share that never leaves. */
export function stayingCaller(share: string): Caller {
  return { share, hasLeft: false, onLeave: () => () => undefined };
}

/** Background work, which has one share. */
export const BACKGROUND: Caller = stayingCaller('background');

/** A caller left before there was an answer. */
export class CallerLeft extends Error {
  constructor() {
    super('the client left before its answer');
    this.name = 'CallerLeft';
  }
}

// One error for all: thousands may leave at once, and a stack is of no use here.
const LEFT = new CallerLeft();

/** Whether work goes on, in the last caller's share, although all callers have left. */
type OnAbandoned = () => boolean;

/** The callers of one piece of work. */
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

  static of(caller: Caller): Claim {
    const claim = new Claim();
    claim.join(caller);
    return claim;
  }

  /** The shares of its callers, each once; after {@link keep}, of those that waited then. */
  get shares(): Iterable<string> {
    return this.#shares.keys();
  }

  /** Whether both have a share in common. */
  sharesWith(other: Claim): boolean {
    for (const share of this.#shares.keys()) if (other.#shares.has(share)) return true;
    return false;
  }

  /** Whether all callers have left, and the work is to end. */
  get isAbandoned(): boolean {
    return this.#isAbandoned;
  }

  /** Aborted when all callers have left. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#isAbandoned && !this.#abort.signal.aborted) this.#abort.abort(LEFT);
    return this.#abort.signal;
  }

  /** Counts a caller until it leaves (`onLeft` is then called) or the returned function is called. */
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

  /** Joins, starts `work`, and resolves as it does. @throws CallerLeft as soon as the caller has left. */
  wait<T>(caller: Caller, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const leave = this.join(caller, () => reject(LEFT));
      work().then(resolve, reject).finally(leave);
    });
  }

  /** From now on the claim is not given up when its last caller leaves: the work is over, or is to be finished anyway. */
  keep(): void {
    this.#isKept = true;
  }

  /** Calls `onShare` for each share that joins while the claim is queued; returns the function that ends that. */
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
