// Metrics for Prometheus: every counter of lib/meter.ts, and what is read at the moment of the scrape.
import { collectDefaultMetrics, Counter, Gauge, Registry as Prometheus } from 'prom-client';
import { COUNTERS, type CounterName, type Meter } from '../lib/meter.ts';
import { exposeSnapshot } from './gauges.ts';
import { addPullMetrics, type OnPull } from './pulls/pull-metrics.ts';
import type { Snapshot } from './snapshot.ts';

/** Values that are read when Prometheus asks. */
export interface Gauges {
  readonly spoolBytes: () => number;
  readonly breakersOpen: () => Record<string, boolean>;
}

/** The meter that rooms report to, and the text that Prometheus reads. */
export interface Metrics {
  readonly meter: Meter;
  /** What a counter has come to, whatever its labels. */
  total(name: CounterName): number;
  readonly onPull: OnPull;
  watch(gauges: Gauges): void;
  /** The exposition and its content type; what a snapshot tells is left out where there is none. */
  expose(snapshot: Snapshot | undefined): Promise<{ contentType: string; body: string }>;
}

const PREFIX = 'geo_registry_';

const LABELS: Partial<Record<CounterName, string[]>> = {
  pulls_total: ['kind', 'origin'],
  stale_answers_total: ['reason'],
  flights_total: ['result'],
  digest_mismatches_total: ['registry'],
  local_deliveries_total: ['by'],
  stores_total: ['result'],
  copies_total: ['result'],
  events_total: ['result'],
  event_requests_total: ['result'],
};

/** Counts of one metric; they are Prometheus's only when it asks, since it takes long over each label. */
interface Tally {
  /** All that was added. */
  readonly total: number;
  add(labels: Record<string, string> | undefined, by: number): void;
  tell(counter: Counter): void;
}

function createTally(labelNames: readonly string[]): Tally {
  const untold = new Map<string, { readonly labels: Record<string, string>; by: number }>();
  const [first = '', second = ''] = labelNames;
  let total = 0;
  return {
    get total() {
      return total;
    },
    add(labels = {}, by) {
      total += by;
      const key = labelNames.length < 2 ? (labels[first] ?? '') : `${labels[first]}\n${labels[second]}`;
      const entry = untold.get(key);
      if (entry) entry.by += by;
      else untold.set(key, { labels, by });
    },
    tell(counter) {
      for (const { labels, by } of untold.values()) counter.inc(labels, by);
      untold.clear();
    },
  };
}

/** Metrics of one site, named `geo_registry_*` and labelled with it. */
export function createMetrics(site: string): Metrics {
  const registry = new Prometheus();
  registry.setDefaultLabels({ site });
  collectDefaultMetrics({ register: registry });
  const counts = new Map<string, Tally>();
  for (const [name, help] of Object.entries(COUNTERS)) {
    const labelNames = LABELS[name as CounterName] ?? [];
    const tally = createTally(labelNames);
    const counter: Counter = new Counter({
      name: PREFIX + name,
      help,
      labelNames,
      registers: [registry],
      collect: () => tally.tell(counter),
    });
    counts.set(name, tally);
  }
  const onPull = addPullMetrics(registry, PREFIX);
  return {
    onPull,
    meter: (name, labels, by = 1) => counts.get(name)?.add(labels, by),
    total: (name) => counts.get(name)?.total ?? 0,
    watch({ spoolBytes, breakersOpen }) {
      const registers = [registry];
      const spool: Gauge = new Gauge({
        name: `${PREFIX}spool_bytes`,
        help: 'Bytes that fills hold on disk',
        registers,
        collect: (): void => spool.set(spoolBytes()),
      });
      const breakers: Gauge<'registry'> = new Gauge({
        name: `${PREFIX}breaker_open`,
        help: 'Whether the circuit breaker before a registry is open',
        labelNames: ['registry'],
        registers,
        collect(): void {
          for (const [name, open] of Object.entries(breakersOpen())) breakers.set({ registry: name }, open ? 1 : 0);
        },
      });
    },
    async expose(snapshot) {
      const parts = [registry.metrics(), ...(snapshot ? [exposeSnapshot(snapshot, PREFIX)] : [])];
      return { contentType: registry.contentType, body: (await Promise.all(parts)).join('\n') };
    },
  };
}
