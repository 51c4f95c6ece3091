// What 100,000 rows cost: the status that people look at, and the claim that a worker makes.
import { join } from 'node:path';
import type { RowStore } from '../../src/replication/rows.ts';
import { createSqliteStore } from '../../src/replication/store/sqlite.ts';
import { silent } from '../../test/replication/store/silent.ts';
import { startSites } from '../../test/support/sites.ts';
import type { Topic } from './bench.ts';
import { environment } from './environment.ts';
import { median, percentile, type Figure } from './figure.ts';
import { fillRows, LATER, ROWS } from './many-rows.ts';
import { startProxyProcess } from './proxy-process.ts';

const CLAIMS = 300;
// Half of the rows wait, the others have come to an end of every kind.
const ENDS = ['synced', 'failed', 'unsupported'] as const;

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
      await fillRows(before, ROWS / 2, (nth, outcomes) => outcomes[ENDS[nth % ENDS.length]!]);
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
