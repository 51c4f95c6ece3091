// What 100,000 rows cost: the status that people look at, and the claim that a worker makes.
import { join } from 'node:path';
import { digestOf } from '../../src/oci/digest.ts';
import type { Mark, Outcome, RowPriority, RowStore } from '../../src/replication/rows.ts';
import { createSqliteStore } from '../../src/replication/store/sqlite.ts';
import { silent } from '../../test/replication/store/silent.ts';
import { startSites } from '../../test/support/sites.ts';
import type { Topic } from './bench.ts';
import { environment } from './environment.ts';
import { median, percentile, type Figure } from './figure.ts';
import { startProxyProcess } from './proxy-process.ts';

const ROWS = 100_000;
const PAGE = 500;
const CLAIMS = 300;
// Nothing is due before: the process that is asked for its status has no work that would remove rows.
// Within what a start lets stand: nothing may become due meanwhile.
const LATER = 15 * 60_000;

function page(start: number): Mark[] {
  return Array.from({ length: PAGE }, (_, index) => {
    const nth = start + index;
    const priority = (nth % 4) as RowPriority;
    return { repository: `group/project-${nth % 2_000}/image`, reference: `v1.${nth}`, priority, eventAt: nth };
  });
}

/** Half of the rows wait, the others have come to an end of every kind. */
async function fill(store: RowStore): Promise<void> {
  const then = Date.now() + LATER;
  for (let start = 0; start < ROWS; start += PAGE) await store.mark(page(start), then);
  const rows = await store.claim('bench', ROWS / 2, then + 1, then + 2);
  const digest = digestOf(Buffer.from('one'));
  const outcomes: Outcome[] = [
    { kind: 'synced', digest, bytes: 1_000 },
    { kind: 'failed', error: 'a blob is missing', nextAttempt: then + LATER },
    { kind: 'unsupported', error: 'schema 1' },
  ];
  await Promise.all(rows.map((row, nth) => store.finish('bench', row, outcomes[nth % outcomes.length]!, then + 1)));
}

/** Claims of 4 that find something, as a worker's at the default concurrency. */
async function claims(store: RowStore): Promise<number[]> {
  const now = Date.now() + 3 * LATER;
  const times: number[] = [];
  for (let claim = 0; claim < CLAIMS; claim += 1) {
    const begin = performance.now();
    await store.claim('bench', 4, now, now + LATER);
    times.push(performance.now() - begin);
  }
  return times;
}

function both(name: string, p50s: readonly number[], p99s: readonly number[], atMost: number): Figure[] {
  const rest = { limit: { atMost }, unit: 'ms', runs: p50s.length };
  return [
    { name: `${name}, median`, value: median(p50s), ...rest },
    { name: `${name}, p99`, value: median(p99s), ...rest },
  ];
}

/** `GET /api/status` of the process, and `claim` of the store by itself. */
export const status: Topic = {
  name: 'status',
  about: '100,000 rows: the status and the claims of workers',
  async measure({ bin, load, runs, seconds }) {
    const sites = await startSites();
    const file = join(sites.dataDir, 'state.db');
    const [p50s, p99s]: number[][] = [[], []];
    try {
      const before = await createSqliteStore({ file, log: silent });
      await fill(before);
      await before.close();
      const proxy = await startProxyProcess(bin, environment(sites));
      const requests = [{ method: 'GET', path: '/api/status' }] as const;
      for (let run = 0; run <= runs; run += 1) {
        const answers = await load.runAll({ kind: 'rate', port: proxy.adminPort, requests, connections: 1, seconds });
        if (run === 0) continue;
        p50s!.push(answers.p50);
        p99s!.push(answers.p99);
      }
      await proxy.stop();
      const after = await createSqliteStore({ file, log: silent });
      const { states } = await after.counts(Date.now());
      const count = Object.values(states).reduce((sum, rows) => sum + rows, 0);
      if (count !== ROWS) throw new Error(`${count} rows are left of ${ROWS}`);
      const claimed: number[][] = [];
      for (let run = 0; run < runs; run += 1) claimed.push(await claims(after));
      await after.close();
      return [
        ...both('GET /api/status', p50s!, p99s!, 50),
        ...both(
          'claim of 4 rows, in the store',
          claimed.map((times) => percentile(times, 0.5)),
          claimed.map((times) => percentile(times, 0.99)),
          5,
        ),
      ];
    } finally {
      await sites.close();
    }
  },
};
