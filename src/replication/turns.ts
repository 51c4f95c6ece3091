// Turns: work on one thing at a time, while others go on with theirs.

/** Runs `work` when all that was asked for `key` before has ended. */
export type TakeTurn = <T>(key: string, work: () => Promise<T>) => Promise<T>;

/** A {@link TakeTurn} of its own queues. */
export function createTurns(): TakeTurn {
  const last = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const before = last.get(key);
    const mine = before ? before.then(work, work) : work();
    last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (last.get(key) === mine) last.delete(key);
    }
  };
}
