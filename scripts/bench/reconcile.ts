// A comparison of both sites that finds nothing to do, as nearly every one of them.
import { join } from 'node:path';
import type { Digest } from '../../src/oci/digest.ts';
import { PRIORITY } from '../../src/replication/row.ts';
import { createSqliteStore } from '../../src/replication/store/sqlite.ts';
import { silent } from '../../test/replication/store/silent.ts';
import { image } from '../../test/support/image.ts';
import { startSites, type Sites } from '../../test/support/sites.ts';
import { waitFor } from '../../test/support/tool.ts';
import type { Snapshot } from '../../src/status/snapshot.ts';
import type { Topic } from './bench.ts';
import { environment } from './environment.ts';
import { median } from './figure.ts';
import { startProxyProcess } from './proxy-process.ts';
import { taggedWith, writeTags, type Tagged } from './tagged-storage.ts';

const REPOSITORIES = 50;

/** All tags synced, as after a backfill: the walk at the start is then a comparison. */
async function markSynced(sites: Sites, { image: { digest }, repositories, tags }: Tagged): Promise<void> {
  const store = await createSqliteStore({ file: join(sites.dataDir, 'state.db'), log: silent });
  const now = Date.now();
  for (const repository of repositories) {
    const marks = tags.map((reference) => ({ repository, reference, priority: PRIORITY.backfill }));
    await store.mark(marks, now);
  }
  const rows = await store.claim('bench', repositories.length * tags.length, now, now + 60_000);
  const outcome = { kind: 'synced', digest: digest as Digest, bytes: 0 } as const;
  await Promise.all(rows.map((row) => store.finish('bench', row, outcome, now)));
  await store.setFact('backfill.done', true);
  await store.close();
}

type Run = NonNullable<Snapshot['replication']['runs']['reconcile']>;

async function reconcileRun(adminUrl: string): Promise<Run | null> {
  const response = await fetch(`${adminUrl}/api/status`);
  return ((await response.json()) as Snapshot).replication.runs.reconcile;
}

/** The next comparison that ends after `since` (ISO). */
async function nextRun(adminUrl: string, since: string): Promise<Run> {
  const ended = async (): Promise<Run | undefined> => {
    const run = await reconcileRun(adminUrl);
    return run?.endedAt && run.endedAt > since ? run : undefined;
  };
  return waitFor(ended, { what: 'a comparison to end', timeout: 120_000 });
}

/** Tags a second of a comparison that the program makes by itself, in its interval. */
export const reconcile: Topic = {
  name: 'reconcile',
  about: 'comparing both sites where nothing differs, on loopback',
  async measure({ bin, runs, isQuick }) {
    const count = isQuick ? 500 : 5_000;
    const sites = await startSites();
    try {
      const tagged = taggedWith(image('reconcile'), 'bench', REPOSITORIES, count);
      await Promise.all([
        writeTags(sites.primary, sites.primaryTarget, tagged),
        writeTags(sites.secondary, sites.secondaryTarget, tagged),
      ]);
      await markSynced(sites, tagged);
      const proxy = await startProxyProcess(bin, environment(sites, { GEO_RECONCILE_INTERVAL: '1s' }));
      const rates: number[] = [];
      // The first one follows the start at once, and is cold.
      let { endedAt } = await nextRun(proxy.adminUrl, '');
      for (let run = 0; run < runs; run += 1) {
        const ended = await nextRun(proxy.adminUrl, endedAt!);
        if (ended.tags !== count || ended.marked > 0 || ended.error !== null) throw new Error(JSON.stringify(ended));
        ({ endedAt } = ended);
        rates.push(count / ((Date.parse(ended.endedAt!) - Date.parse(ended.startedAt)) / 1_000));
      }
      await proxy.stop();
      const name = `no-change comparison of ${count} tags in ${REPOSITORIES} repositories`;
      return [{ name, value: median(rates), limit: { atLeast: 300 }, unit: 'tags/s', runs }];
    } finally {
      await sites.close();
    }
  },
};
