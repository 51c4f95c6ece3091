// Counts of pulls over some time: by origin, errors, bytes that crossed, and how long first bytes took.
import type { PullOrigin, PullTotals, TrafficPoint } from '../api/pulls.ts';

/** Upper bounds (ms) of what the time to the first byte is counted in; what took longer is in one more. */
const BOUNDS = [
  0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000,
  10_000, 30_000,
] as const;

const ORIGINS = ['memory', 'local', 'primary', 'stale'] as const satisfies readonly PullOrigin[];

/** What a tally takes of one pull. */
export interface Counted {
  readonly origin: PullOrigin | null;
  readonly status: number;
  readonly bytes: number;
  readonly ttfbMs: number | null;
}

interface Sum {
  requests: number;
  bytes: number;
}

/** Counts that only grow, until they are cleared for another time. */
export class Tally {
  readonly #byOrigin: Readonly<Record<PullOrigin, Sum>> = {
    memory: { requests: 0, bytes: 0 },
    local: { requests: 0, bytes: 0 },
    primary: { requests: 0, bytes: 0 },
    stale: { requests: 0, bytes: 0 },
  };
  readonly #firstBytes = new Uint32Array(BOUNDS.length + 1);
  #timed = 0;
  #errors = 0;
  #saved = 0;
  wanBytes = 0;

  /** `saved`: those of the pull's bytes that did not have to cross. */
  add({ origin, status, bytes, ttfbMs }: Counted, saved: number): void {
    if (status >= 400 || origin === null) this.#errors += 1;
    else {
      const sum = this.#byOrigin[origin];
      sum.requests += 1;
      sum.bytes += bytes;
      this.#saved += saved;
      if (ttfbMs !== null) this.#time(ttfbMs);
    }
  }

  clear(): void {
    for (const sum of Object.values(this.#byOrigin)) sum.requests = sum.bytes = 0;
    this.#firstBytes.fill(0);
    this.#timed = this.#errors = this.#saved = this.wanBytes = 0;
  }

  totals(): PullTotals {
    const { memory, local, primary, stale } = this.#byOrigin;
    const all = (value: (sum: Sum) => number): number =>
      ORIGINS.reduce((sum, of) => sum + value(this.#byOrigin[of]), 0);
    const ratio = (value: (sum: Sum) => number): number | null =>
      all(value) === 0 ? null : 1 - value(primary) / all(value);
    return {
      requests: all(({ requests }) => requests) + this.#errors,
      bytes: all(({ bytes }) => bytes),
      byOrigin: { memory: { ...memory }, local: { ...local }, primary: { ...primary }, stale: { ...stale } },
      errors: this.#errors,
      wanBytes: this.wanBytes,
      wanSavedBytes: this.#saved,
      hitRatioRequests: ratio(({ requests }) => requests),
      hitRatioBytes: ratio(({ bytes }) => bytes),
      ttfbP50Ms: this.#percentile(0.5),
      ttfbP99Ms: this.#percentile(0.99),
    };
  }

  point(at: string): TrafficPoint {
    const { memory, local, primary, stale } = this.#byOrigin;
    return {
      at,
      requests: {
        memory: memory.requests,
        local: local.requests,
        primary: primary.requests,
        stale: stale.requests,
        error: this.#errors,
      },
      bytes: { memory: memory.bytes, local: local.bytes, primary: primary.bytes, stale: stale.bytes },
      wanBytes: this.wanBytes,
      ttfbP50Ms: this.#percentile(0.5),
      ttfbP99Ms: this.#percentile(0.99),
    };
  }

  #time(ms: number): void {
    let index = 0;
    while (index < BOUNDS.length && ms > BOUNDS[index]!) index += 1;
    this.#firstBytes[index]! += 1;
    this.#timed += 1;
  }

  /** Within its bucket a share is taken to grow evenly; what is beyond the last bound is told as that bound. */
  #percentile(share: number): number | null {
    if (this.#timed === 0) return null;
    const rank = share * this.#timed;
    let below = 0;
    for (const [index, bound] of BOUNDS.entries()) {
      const count = this.#firstBytes[index]!;
      if (below + count >= rank) {
        const from = BOUNDS[index - 1] ?? 0;
        return Math.round((from + ((rank - below) / count) * (bound - from)) * 100) / 100;
      }
      below += count;
    }
    return BOUNDS.at(-1)!;
  }
}
