// A rate: bytes that may pass in a second, shared by all who wait for it.

/** Resolves when these bytes may pass; rejects when `signal` is aborted before. */
export type Rate = (bytes: number, signal?: AbortSignal) => Promise<void>;

/** Time as a rate sees it, in milliseconds. */
export interface RateEffects {
  readonly clock: () => number;
  readonly sleep: (time: number, signal: AbortSignal | undefined) => Promise<unknown>;
}

// Shorter waits (ms) are saved up: a timer for each chunk would cost more than it limits.
const WAIT_MIN = 20;

/** A {@link Rate} of so many bytes a second; what was not used before is not made up for. */
export function createRate(bytesPerSecond: number, { clock, sleep }: RateEffects): Rate {
  let freeAt = clock();
  return async (bytes, signal) => {
    const now = clock();
    freeAt = Math.max(freeAt, now) + (bytes / bytesPerSecond) * 1_000;
    if (freeAt - now >= WAIT_MIN) await sleep(freeAt - now, signal);
  };
}
