// A shared limit of bytes a second.

/** Resolves when these bytes may pass; rejects when `signal` is aborted before. */
export type Rate = (bytes: number, signal?: AbortSignal) => Promise<void>;

/** Time in milliseconds. */
export interface RateEffects {
  readonly clock: () => number;
  readonly sleep: (time: number, signal: AbortSignal | undefined) => Promise<unknown>;
}

// Shorter waits (ms) are added up: a timer for each chunk would cost too much.
const WAIT_MIN = 20;

/** A {@link Rate} of so many bytes a second; unused bandwidth is not saved up. */
export function createRate(bytesPerSecond: number, { clock, sleep }: RateEffects): Rate {
  let freeAt = clock();
  return async (bytes, signal) => {
    const now = clock();
    freeAt = Math.max(freeAt, now) + (bytes / bytesPerSecond) * 1_000;
    if (freeAt - now >= WAIT_MIN) await sleep(freeAt - now, signal);
  };
}
