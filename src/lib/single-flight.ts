// One call at a time per key: those that come while it is under way share its promise.

/** Runs `work` for `key` unless it is under way; every caller gets the one result, errors too. */
export type SingleFlight<T> = (key: string, work: () => Promise<T>) => Promise<T>;

/** A {@link SingleFlight} of its own map. */
export function createSingleFlight<T>(): SingleFlight<T> {
  const flying = new Map<string, Promise<T>>();
  return (key, work) => {
    const current = flying.get(key);
    if (current) return current;
    const started = work().finally(() => {
      if (flying.get(key) === started) flying.delete(key);
    });
    flying.set(key, started);
    return started;
  };
}
