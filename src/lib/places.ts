// Places for requests of one kind: so many at once, some more where others have no use for theirs, and a wait with an end.

/** How many places there are; times in milliseconds. */
export interface PlacesOptions {
  /** Places that are there at any time. */
  readonly own: number;
  /** All places, with those that are lent. */
  readonly total: number;
  /** Lends one place, with the function that gives it back; undefined where there is none to spare. */
  readonly lend: () => (() => void) | undefined;
  /** How long somebody waits for a place. */
  readonly patience: number;
}

/** @see createPlaces */
export interface Places {
  /** Runs `work` in a place of its own; resolves with `late` where there was none in time, or too many wait. */
  run<T>(work: () => Promise<T>, late: T): Promise<T>;
}

// Beyond this nobody would have a place in time.
const WAITING_MAX = 4_096;

/** {@link Places}; who came first goes first. */
export function createPlaces({ own, total, lend, patience }: PlacesOptions): Places {
  const waiting = new Set<(giveBack: () => void) => void>();
  let ownTaken = 0;
  let lent = 0;

  function take(): (() => void) | undefined {
    if (ownTaken < own) {
      ownTaken += 1;
      return () => (ownTaken -= 1);
    }
    const giveBack = ownTaken + lent < total ? lend() : undefined;
    if (!giveBack) return undefined;
    lent += 1;
    return () => {
      lent -= 1;
      giveBack();
    };
  }

  function admit(): void {
    for (const enter of waiting) {
      const giveBack = take();
      if (!giveBack) return;
      enter(giveBack);
    }
  }

  /** Resolves with the function that gives the place back; undefined where none became free in time. */
  function wait(): Promise<(() => void) | undefined> {
    if (waiting.size >= WAITING_MAX) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const leave = (giveBack?: () => void): void => {
        clearTimeout(timer);
        waiting.delete(leave);
        resolve(giveBack);
      };
      const timer = setTimeout(leave, patience);
      waiting.add(leave);
      admit();
    });
  }

  return {
    async run(work, late) {
      const giveBack = await wait();
      if (!giveBack) return late;
      try {
        return await work();
      } finally {
        giveBack();
        admit();
      }
    },
  };
}
