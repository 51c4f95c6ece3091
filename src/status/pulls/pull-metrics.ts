// The metrics of pulls: bytes by origin, bytes saved, and two histograms of times. A pull costs additions; Prometheus's own
// forms are made when it asks.
import { Counter, type Metric, type Registry } from 'prom-client';
import type { Pull, PullOrigin } from '../api/pulls.ts';

/** Where pulls are reported; `isShared` as in the recorder. */
export type OnPull = (
  pull: Pick<Pull, 'kind' | 'origin' | 'status' | 'bytes' | 'ms' | 'ttfbMs'>,
  isShared: boolean,
) => void;

// Seconds: from what memory takes to what a layer takes over a slow line.
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300] as const;

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** By bucket, the last one without a bound. */
  readonly counts: Float64Array;
  sum: number;
}

/** Times by kind and origin, of which there are few. */
class Times {
  readonly #series = new Map<string, Series>();
  readonly name: string;
  readonly help: string;

  constructor(name: string, help: string) {
    this.name = name;
    this.help = help;
  }

  observe(kind: string, origin: string, ms: number): void {
    const key = `${kind} ${origin}`;
    let series = this.#series.get(key);
    if (!series) {
      series = { labels: { kind, origin }, counts: new Float64Array(BOUNDS.length + 1), sum: 0 };
      this.#series.set(key, series);
    }
    const seconds = ms / 1_000;
    let index = 0;
    while (index < BOUNDS.length && seconds > BOUNDS[index]!) index += 1;
    series.counts[index]! += 1;
    series.sum += seconds;
  }

  /** In the form in which prom-client's own histograms tell theirs. */
  get(): object {
    const values = [...this.#series.values()].flatMap(({ labels, counts, sum }) => {
      let below = 0;
      const buckets = [...counts].map((count, index) => ({
        metricName: `${this.name}_bucket`,
        labels: { ...labels, le: BOUNDS[index] ?? '+Inf' },
        value: (below += count),
      }));
      const rest = [
        { metricName: `${this.name}_sum`, labels, value: sum },
        { metricName: `${this.name}_count`, labels, value: below },
      ];
      return [...buckets, ...rest];
    });
    return { name: this.name, help: this.help, type: 'histogram', aggregator: 'sum', values };
  }
}

const ORIGINS = ['memory', 'local', 'primary', 'stale'] as const satisfies readonly PullOrigin[];

/** Registers the metrics of pulls, whose names begin with `prefix`; the answer takes pulls. */
export function addPullMetrics(registry: Registry, prefix: string): OnPull {
  const duration = new Times(`${prefix}request_duration_seconds`, 'Time to the end of answers to pulls');
  const firstByte = new Times(`${prefix}time_to_first_byte_seconds`, 'Time to the first byte of answers to pulls');
  for (const times of [duration, firstByte]) registry.registerMetric(times as unknown as Metric);

  const bytes: Record<PullOrigin, number> = { memory: 0, local: 0, primary: 0, stale: 0 };
  let saved = 0;
  const sent: Counter<'origin'> = new Counter({
    name: `${prefix}client_bytes_total`,
    help: 'Body bytes to clients by where they came from',
    labelNames: ['origin'],
    registers: [registry],
    collect() {
      for (const origin of ORIGINS) {
        sent.inc({ origin }, bytes[origin]);
        bytes[origin] = 0;
      }
    },
  });
  const savedBytes: Counter = new Counter({
    name: `${prefix}wan_saved_bytes_total`,
    help: 'Body bytes to clients that did not have to cross from the primary',
    registers: [registry],
    collect() {
      savedBytes.inc(saved);
      saved = 0;
    },
  });

  return ({ kind, origin, status, bytes: size, ms, ttfbMs }, isShared) => {
    const told = status >= 400 || origin === null ? 'none' : origin;
    const noun = kind === 'manifest' || kind === 'blob' ? kind : 'other';
    duration.observe(noun, told, ms);
    if (ttfbMs !== null) firstByte.observe(noun, told, ttfbMs);
    if (told === 'none') return;
    bytes[told] += size;
    if (told !== 'primary' || isShared) saved += size;
  };
}
