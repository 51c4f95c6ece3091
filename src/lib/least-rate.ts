// Minimum rates: a source or reader that moves almost no bytes while it is waited for counts as stopped.

/** So many bytes in `window` milliseconds of waiting. */
export interface LeastRate {
  readonly bytes: number;
  readonly window: number;
}

/** {@link LeastRate} unless another is given. */
export const LEAST_RATE: LeastRate = { bytes: 64 * 1024, window: 60_000 };

/** Counts bytes against a minimum rate until it is stopped. */
export interface RateWatch {
  count(bytes: number): void;
  stop(): void;
}

// Waiting is sampled ten times a window, which is cheaper than a clock for each chunk. After this process was suspended or
// busy there is one late sample only, so that its own pause is not taken for a slow peer.
const SAMPLES = 10;

/** Calls `onSlow` at each sample after a full window of waiting without enough bytes, until enough have come. */
class Watch implements RateWatch {
  readonly #bytes: number;
  readonly #timer: NodeJS.Timeout;
  #came = 0;
  #waited = 0;

  constructor({ bytes, window }: LeastRate, isWaiting: () => boolean, onSlow: () => void) {
    this.#bytes = bytes;
    this.#timer = setInterval(() => {
      if (!isWaiting()) return;
      this.#waited += 1;
      if (this.#waited >= SAMPLES) onSlow();
    }, window / SAMPLES);
    this.#timer.unref();
  }

  count(bytes: number): void {
    this.#came += bytes;
    if (this.#came >= this.#bytes) this.reset();
  }

  reset(): void {
    this.#came = 0;
    this.#waited = 0;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** Calls `onTooSlow` for each window of waiting in which too few bytes came. */
export function watchRate(leastRate: LeastRate, isWaiting: () => boolean, onTooSlow: () => void): RateWatch {
  const watch = new Watch(leastRate, isWaiting, () => {
    watch.reset();
    onTooSlow();
  });
  return watch;
}

/**
 * As {@link watchRate} for a source that stays slow until it has brought the rate's bytes: `onSlow` is called at each
 * sample at which it is waited for and slow, `onBytes` whenever bytes come.
 */
export function watchSlow(
  leastRate: LeastRate,
  isWaiting: () => boolean,
  { onSlow, onBytes }: { readonly onSlow: () => void; readonly onBytes: () => void },
): RateWatch {
  const watch = new Watch(leastRate, isWaiting, onSlow);
  return {
    count(bytes) {
      onBytes();
      watch.count(bytes);
    },
    stop: () => watch.stop(),
  };
}

/** Passes a source on, and watches the time in which one of both sides is waited for. */
async function* watched(
  watchedSide: 'source' | 'reader',
  source: AsyncIterable<Buffer>,
  leastRate: LeastRate,
  onTooSlow: () => void,
): AsyncGenerator<Buffer, void, undefined> {
  let waitingFor: 'source' | 'reader' = 'source';
  const watch = watchRate(leastRate, () => waitingFor === watchedSide, onTooSlow);
  try {
    for await (const chunk of source) {
      waitingFor = 'reader';
      yield chunk;
      waitingFor = 'source';
      watch.count(chunk.length);
    }
  } finally {
    watch.stop();
  }
}

type PassOn = (
  source: AsyncIterable<Buffer>,
  leastRate: LeastRate,
  onTooSlow: () => void,
) => AsyncGenerator<Buffer, void, undefined>;

/** A source's chunks; `onTooSlow` when its reader takes too few bytes. */
export const takenAtLeast: PassOn = (...passed) => watched('reader', ...passed);

/** A source's chunks; `onTooSlow` when it gives too few bytes while its reader waits. */
export const givenAtLeast: PassOn = (...passed) => watched('source', ...passed);
