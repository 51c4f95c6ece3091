// Leaving work that cannot be aborted itself: its late result is taken care of, its late error is nobody's.

/**
 * Resolves as `work` does. Rejects with the signal's reason when that comes first; what `work` gives after that goes to
 * `discard`.
 */
export function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  discard: (late: T) => void,
): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      reject(signal.reason as Error);
      work.then(discard, () => undefined);
    };
    if (signal.aborted) return leave();
    signal.addEventListener('abort', leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
