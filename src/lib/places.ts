// Places for requests of one kind: so many at once, some more where others have no use for theirs, shared fairly among
// those who ask, and a wait with an end.
import { Claim, type Caller } from './claim.ts';
import { FairQueue, WAITING_MAX, type Waiter as Queued } from './fair-queue.ts';

/** How many places there are; times in milliseconds. */
export interface PlacesOptions {
  /** Places that are there at any time. */
  readonly own: number;
  /** All places, with those that are lent. */
  readonly total: number;
  /** Lends one place for a claim, with the function that gives it back; undefined where there is none to spare. */
  readonly lend?: (claim: Claim) => (() => void) | undefined;
  /** Tells when there may be one to lend again. */
  readonly onLendable?: (act: () => void) => void;
  /** How long somebody waits for a place. */
  readonly patience: number;
  /** Places of one share at once. */
  readonly shareMax?: number;
  /** How many of one share may wait. */
  readonly waitingMax?: number;
}

/** @see createPlaces */
export interface Places {
  /**
   * Runs `work` in a place of its own, with a signal that is aborted when all who wait for it have left; resolves with
   * `late` where they left before, where there was no place in time, or where too many of the share wait.
   */
  run<T>(claim: Claim, work: (signal: AbortSignal) => Promise<T>, late: T): Promise<T>;
  /** As `run` for one caller. @throws CallerLeft as soon as it has left. */
  runFor<T>(caller: Caller, work: (signal: AbortSignal) => Promise<T>, late: T): Promise<T>;
}

interface Waiter extends Queued {
  readonly enter: (giveBack: () => void) => void;
}

const noneToLend = (): undefined => undefined;

/** {@link Places}; the share with the fewest goes first, and of one share who came first. */
export function createPlaces(options: PlacesOptions): Places {
  const { own, total, lend = noneToLend, patience, shareMax = Infinity, waitingMax = WAITING_MAX } = options;
  const queue = new FairQueue<Waiter>();
  let ownTaken = 0;
  let lent = 0;

  function place(claim: Claim): (() => void) | undefined {
    if (ownTaken < own) {
      ownTaken += 1;
      return () => (ownTaken -= 1);
    }
    const giveBack = ownTaken + lent < total ? lend(claim) : undefined;
    if (!giveBack) return undefined;
    lent += 1;
    return () => {
      lent -= 1;
      giveBack();
    };
  }

  function occupy(claim: Claim): (() => void) | undefined {
    const leave = place(claim);
    if (!leave) return undefined;
    const served = queue.serve(claim);
    return () => {
      served();
      leave();
    };
  }

  function take(claim: Claim): (() => void) | undefined {
    return queue.inService(claim) < shareMax ? occupy(claim) : undefined;
  }

  function admit(): void {
    for (let next = queue.next(shareMax); next; next = queue.next(shareMax)) {
      // Its turn may be that of a share whose callers have left by now: it must not hold up those behind it.
      const giveBack = occupy(next.claim);
      if (!giveBack) return;
      next.enter(giveBack);
    }
  }

  /** Resolves with the function that gives the place back; undefined where none became free in time. */
  function wait(claim: Claim): Promise<(() => void) | undefined> {
    if (queue.waitingBeside(claim) >= waitingMax) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const { signal } = claim;
      const leave = (giveBack?: () => void): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
        queue.remove(waiter);
        resolve(giveBack);
      };
      const giveUp = (): void => leave();
      const waiter: Waiter = { claim, enter: leave };
      const timer = setTimeout(giveUp, patience);
      signal.addEventListener('abort', giveUp, { once: true });
      queue.add(waiter);
      admit();
    });
  }

  async function run<T>(claim: Claim, work: (signal: AbortSignal) => Promise<T>, late: T): Promise<T> {
    if (claim.isAbandoned) return late;
    const giveBack = (queue.isEmpty ? take(claim) : undefined) ?? (await wait(claim));
    if (!giveBack) return late;
    try {
      return await work(claim.signal);
    } finally {
      giveBack();
      admit();
    }
  }

  options.onLendable?.(admit);

  return {
    run,
    runFor(caller, work, late) {
      const claim = new Claim();
      return claim.wait(caller, () => run(claim, work, late).finally(() => claim.keep()));
    },
  };
}
