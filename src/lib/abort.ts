// Leaving work that cannot be aborted itself.

/**
 * Resolves as `work` does. Rejects with the signal's reason when that comes first: a later result goes to `discard`, and a
 * later error is ignored.
 */
export function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  discard: (late: T) => void,
): Promise<T> {
  if (!signal) return work;
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const leave = (): void => {
    reject(signal.reason as Error);
    work.then(discard, () => undefined);
  };
  if (signal.aborted) {
    leave();
  } else {
    signal.addEventListener('abort', leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  }
  return promise;
}
