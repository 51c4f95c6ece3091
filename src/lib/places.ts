// Limits how many requests of one kind run at once. Spare capacity of others may be borrowed; waiting ends after a time.
import { Claim, type Caller } from './claim.ts';
import { FairQueue, WAITING_MAX, type Waiter as Queued } from './fair-queue.ts';

type GiveBack = () => void;

/** How many places there are; times in milliseconds. */
export interface PlacesOptions {
  /** Places that always exist. */
  readonly own: number;
  /** Limit of own and borrowed places together. */
  readonly total: number;
  /** Lends one place for a claim, and returns the function that gives it back; undefined where none is spare. */
  readonly lend?: (claim: Claim) => GiveBack | undefined;
  /** Takes the function to be called when there may be a place to lend. */
  readonly onLendable?: (act: () => void) => void;
  /** How long a request waits for a place. */
  readonly patience: number;
  /** Limits of one share: its places at once, and its waiting requests. */
  readonly shareMax?: number;
  readonly waitingMax?: number;
}

interface Waiter extends Queued {
  readonly enter: (giveBack: GiveBack) => void;
}

/** Places for requests. The share that has the fewest goes first; within a share, the oldest request. */
export class Places {
  readonly #options: PlacesOptions;
  readonly #shareMax: number;
  readonly #queue = new FairQueue<Waiter>();
  #ownTaken = 0;
  #borrowed = 0;

  constructor(options: PlacesOptions) {
    this.#options = options;
    this.#shareMax = options.shareMax ?? Infinity;
    options.onLendable?.(() => this.#admit());
  }

  /**
   * Runs `work` in a place, with a signal that is aborted when all callers of the claim have left. Resolves with `late`
   * where they left before, where no place was free in time, or where too many of the share wait.
   */
  async run<T>(claim: Claim, work: (signal: AbortSignal) => Promise<T>, late: T): Promise<T> {
    if (claim.isAbandoned) return late;
    const isNext = this.#queue.isEmpty && this.#queue.inService(claim) < this.#shareMax;
    const giveBack = (isNext ? this.#occupy(claim) : undefined) ?? (await this.#wait(claim));
    if (!giveBack) return late;
    try {
      return await work(claim.signal);
    } finally {
      giveBack();
      this.#admit();
    }
  }

  /** As `run` for one caller. @throws CallerLeft as soon as it has left. */
  runFor<T>(caller: Caller, work: (signal: AbortSignal) => Promise<T>, late: T): Promise<T> {
    const claim = new Claim();
    return claim.wait(caller, () => this.run(claim, work, late).finally(() => claim.keep()));
  }

  #place(claim: Claim): GiveBack | undefined {
    const { own, total, lend } = this.#options;
    if (this.#ownTaken < own) {
      this.#ownTaken += 1;
      return () => (this.#ownTaken -= 1);
    }
    const giveBack = this.#ownTaken + this.#borrowed < total ? lend?.(claim) : undefined;
    if (!giveBack) return undefined;
    this.#borrowed += 1;
    return () => {
      this.#borrowed -= 1;
      giveBack();
    };
  }

  #occupy(claim: Claim): GiveBack | undefined {
    const leave = this.#place(claim);
    if (!leave) return undefined;
    const endService = this.#queue.serve(claim);
    return () => {
      endService();
      leave();
    };
  }

  #admit(): void {
    const next = (): Waiter | undefined => this.#queue.next(this.#shareMax);
    for (let waiter = next(); waiter; waiter = next()) {
      const giveBack = this.#occupy(waiter.claim);
      if (!giveBack) return;
      waiter.enter(giveBack);
    }
  }

  /** Resolves with the function that gives the place back; undefined where none became free in time. */
  #wait(claim: Claim): Promise<GiveBack | undefined> {
    const { waitingMax = WAITING_MAX, patience } = this.#options;
    if (this.#queue.waitingBeside(claim) >= waitingMax) return Promise.resolve(undefined);
    const { promise, resolve } = Promise.withResolvers<GiveBack | undefined>();
    const { signal } = claim;
    const enter = (giveBack?: GiveBack): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
      this.#queue.remove(waiter);
      resolve(giveBack);
    };
    const giveUp = (): void => enter();
    const waiter: Waiter = { claim, enter };
    const timer = setTimeout(giveUp, patience);
    signal.addEventListener('abort', giveUp, { once: true });
    this.#queue.add(waiter);
    this.#admit();
    return promise;
  }
}

/** @see Places */
export function createPlaces(options: PlacesOptions): Places {
  return new Places(options);
}
