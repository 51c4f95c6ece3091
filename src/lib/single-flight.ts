// One call at a time per key: calls that come meanwhile share its promise.

/** Runs `work` for `key` unless it is under way; all callers get the one result or error. */
type SingleFlight<T> = (key: string, work: () => Promise<T>) => Promise<T>;

/** A {@link SingleFlight} with its own keys. */
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
