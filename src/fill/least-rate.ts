// The least rate: who holds a slot at its own pace, and takes next to nothing of what waits for it, is dropped.

/** So many bytes in so many milliseconds, not counting those in which nothing waited for the reader. */
export interface LeastRate {
  readonly bytes: number;
  readonly window: number;
}

/** {@link LeastRate} unless another is given. */
export const LEAST_RATE: LeastRate = { bytes: 64 * 1024, window: 60_000 };

/** What a reader may not be slower than, and what happens to it then. */
export interface RateLimit {
  readonly leastRate: LeastRate;
  readonly onTooSlow: () => void;
}

/** A reader's rate, told when something begins to wait for it and when it has taken that. */
export interface RateWatch {
  offered(): void;
  took(bytes: number): void;
  stop(): void;
}

/** @see RateWatch */
export function watchRate({ leastRate: { bytes, window }, onTooSlow }: RateLimit): RateWatch {
  let left = window;
  let taken = 0;
  let since = 0;
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => clearTimeout(timer);
  return {
    offered() {
      since = performance.now();
      timer = setTimeout(onTooSlow, left);
      timer.unref();
    },
    took(count) {
      stop();
      left -= performance.now() - since;
      taken += count;
      if (taken < bytes) return;
      left = window;
      taken = 0;
    },
    stop,
  };
}

/** What a source gives, as long as whoever reads it is fast enough. */
export async function* atLeastRate(source: AsyncIterable<Buffer>, limit: RateLimit): AsyncGenerator<Buffer, void> {
  const watch = watchRate(limit);
  try {
    for await (const chunk of source) {
      watch.offered();
      yield chunk;
      watch.took(chunk.length);
    }
  } finally {
    watch.stop();
  }
}
