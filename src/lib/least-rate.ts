// The least rate: what gives, or takes, next to nothing while it is waited for is as good as standing still.

/** So many bytes in so many milliseconds, not counting those in which nothing was waited for. */
export interface LeastRate {
  readonly bytes: number;
  readonly window: number;
}

/** {@link LeastRate} unless another is given. */
export const LEAST_RATE: LeastRate = { bytes: 64 * 1024, window: 60_000 };

/** Counts bytes against a least rate. */
export interface RateWatch {
  count(bytes: number): void;
  stop(): void;
}

// The wait is sampled so often in a window: a clock for each chunk would cost more. A process that stood still (stopped,
// or busy) has one late sample, and so takes nothing for slow that it did not look at itself.
const SAMPLES = 10;

/** Calls `onTooSlow` for each window of waiting in which fewer bytes came. */
export function watchRate({ bytes, window }: LeastRate, isWaiting: () => boolean, onTooSlow: () => void): RateWatch {
  let came = 0;
  let waited = 0;
  const timer = setInterval(() => {
    if (isWaiting()) waited += 1;
    if (waited < SAMPLES) return;
    came = 0;
    waited = 0;
    onTooSlow();
  }, window / SAMPLES);
  timer.unref();
  return {
    count(more) {
      came += more;
      if (came < bytes) return;
      came = 0;
      waited = 0;
    },
    stop: () => clearInterval(timer),
  };
}

/** Watches for a source that brings next to nothing. */
export interface SlowWatch {
  /** Bytes came: who was slow is told so again only after another look. */
  count(bytes: number): void;
  stop(): void;
}

/**
 * As {@link watchRate} for one that stays slow until it has brought the rate's bytes: `onSlow` is called whenever it is
 * looked at, is waited for and is slow; `onBytes` whenever bytes come.
 */
export function watchSlow(
  { bytes, window }: LeastRate,
  isWaiting: () => boolean,
  { onSlow, onBytes }: { readonly onSlow: () => void; readonly onBytes: () => void },
): SlowWatch {
  let came = 0;
  let waited = 0;
  const timer = setInterval(() => {
    if (!isWaiting()) return;
    waited += 1;
    if (waited >= SAMPLES) onSlow();
  }, window / SAMPLES);
  timer.unref();
  return {
    count(more) {
      onBytes();
      came += more;
      if (came < bytes) return;
      came = 0;
      waited = 0;
    },
    stop: () => clearInterval(timer),
  };
}

/** What a source gives; `onTooSlow` when who reads it takes too little of it. */
export async function* takenAtLeast(
  source: AsyncIterable<Buffer>,
  leastRate: LeastRate,
  onTooSlow: () => void,
): AsyncGenerator<Buffer, void, undefined> {
  let isOffered = false;
  const watch = watchRate(leastRate, () => isOffered, onTooSlow);
  try {
    for await (const chunk of source) {
      isOffered = true;
      yield chunk;
      isOffered = false;
      watch.count(chunk.length);
    }
  } finally {
    watch.stop();
  }
}

/** What a source gives; `onTooSlow` when it gives too little to who waits for it. */
export async function* givenAtLeast(
  source: AsyncIterable<Buffer>,
  leastRate: LeastRate,
  onTooSlow: () => void,
): AsyncGenerator<Buffer, void, undefined> {
  let isAsked = true;
  const watch = watchRate(leastRate, () => isAsked, onTooSlow);
  try {
    for await (const chunk of source) {
      isAsked = false;
      watch.count(chunk.length);
      yield chunk;
      isAsked = true;
    }
  } finally {
    watch.stop();
  }
}
