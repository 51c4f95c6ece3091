// How fast replication is, over the last minutes.
import type { Meter } from '../lib/meter.ts';

/** Rows and bytes a second, and the time left for what is queued. */
export interface Rate {
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly timeLeftMs: number | null;
}

/** Watches the workers. */
export interface RateWatch {
  /** The meter that the workers are to report to. */
  readonly meter: Meter;
  /** The rate by now; `bytes` that all copies have brought, `queued` rows that are due. */
  rate(bytes: number, queued: number): Rate;
}

// Rows are counted in steps of this time (ms), so many of them.
const STEP = 5_000;
const STEPS = 24;

/** Watches by `meter`, to which all goes on. */
export function createRateWatch(
  { meter }: { readonly meter: Meter },
  { clock = Date.now }: { readonly clock?: () => number } = {},
): RateWatch {
  const startedAt = clock();
  const steps = Array.from({ length: STEPS }, () => ({ number: -1, rows: 0 }));
  const samples: { readonly at: number; readonly bytes: number }[] = [];

  function note(): void {
    const number = Math.floor(clock() / STEP);
    const step = steps[number % STEPS]!;
    if (step.number !== number) [step.number, step.rows] = [number, 0];
    step.rows += 1;
  }

  function rowsPerSecond(now: number): number {
    const first = Math.floor(now / STEP) - STEPS + 1;
    const rows = steps.reduce((sum, step) => sum + (step.number >= first ? step.rows : 0), 0);
    const time = Math.min(now - startedAt, now - first * STEP);
    return time <= 0 ? 0 : (rows * 1_000) / time;
  }

  function bytesPerSecond(now: number, bytes: number): number {
    if (now - (samples.at(-1)?.at ?? -Infinity) >= STEP || samples.length === 0) samples.push({ at: now, bytes });
    while (samples.length > 1 && (samples[0]!.at < now - STEP * STEPS || samples.length > STEPS + 1)) samples.shift();
    const { at, bytes: before } = samples[0]!;
    // Rows that are gone take their bytes along.
    return now <= at ? 0 : Math.max(0, ((bytes - before) * 1_000) / (now - at));
  }

  return {
    meter(name, labels, by) {
      meter(name, labels, by);
      if (name === 'copies_total' && labels?.['result'] !== 'released') note();
    },
    rate(bytes, queued) {
      const now = clock();
      const rows = rowsPerSecond(now);
      return {
        rowsPerSecond: rows,
        bytesPerSecond: bytesPerSecond(now, bytes),
        timeLeftMs: rows === 0 ? null : Math.round((queued * 1_000) / rows),
      };
    },
  };
}
