// How much is removed before a person is asked.
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { Removals, removalLimit } from '../../src/replication/removal.ts';
import type { Counts } from '../../src/replication/row-views.ts';
import { PRIORITY } from '../../src/replication/row.ts';
import { NotCompared } from '../../src/replication/suspension.ts';
import { blob } from '../support/content.ts';
import { image, manifest } from '../support/image.ts';
import { deleteManifest, pushImage, putManifest } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { tempDir, waitFor } from '../support/tool.ts';
import { createRig } from '../fill/rig.ts';
import { createClock, startReplicating, startRigSites, tagsAt, type Replicating, type RigSites } from './rig.ts';
import { siteOf } from './site.ts';
import { openSqlite, temporaryFile } from './store/sqlite-files.ts';

let sites: RigSites;

beforeAll(async () => {
  sites = await startRigSites();
});
afterAll(() => sites.close());
beforeEach(() => {
  sites.relay.reset();
  sites.localRelay.reset();
});

const nothing = {
  answer: {
    status: 404,
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }] }),
  },
};
const everythingIsUnknown = { match: ({ path }: { path: string }) => path.includes('/manifests/'), ...nothing };

/** So many tags of one manifest at the primary: what differs is only their names. */
async function pushTags(repository: string, from: number, to: number): Promise<string[]> {
  const pushed = manifest({ config: blob('{}'), layers: [] });
  const target = sites.primaryTarget(repository);
  await pushImage(target, undefined, pushed);
  const tags = Array.from({ length: to - from }, (_, nth) => `v${from + nth}`);
  for (const tag of tags) await putManifest(target, tag, pushed);
  return tags;
}

async function removals(it: Replicating): Promise<number> {
  return (await it.rows.counts(it.clock.now())).removalsLastDay;
}

async function held(it: Replicating, count: number): Promise<void> {
  await waitFor(async () => (await it.rows.counts(it.clock.now())).held === count, {
    what: `${count} held removals`,
    timeout: 20_000,
  });
}

test.each([
  ['ten, however few tags there are', 3, 0, 0, 10],
  ['the share of all', 1_000, 0, 0, 200],
  ['the share of what there was before what was removed', 840, 160, 0, 200],
  ['nothing for what only waits for its first copy', 1_000, 0, 950, 10],
])('the limit is %s', (_what, synced, removalsLastDay, backfill, limit) => {
  const counts = {
    states: { pending: backfill, syncing: 0, synced: synced - backfill, failed: 0, unsupported: 0 },
    queue: { onDemand: 0, event: 0, reconcile: 0, backfill },
    removalsLastDay,
  } as Counts;
  expect(removalLimit(counts, 0.2)).toBe(limit);
});

test('with a limit of nothing every removal waits for a person', async () => {
  await pushTags('never/app', 0, 2);
  await using it = await startReplicating(sites, { only: 'never/', removalShare: 0 });
  await it.untilIdle();
  sites.relay.rules.push(everythingIsUnknown);
  await it.replication.walks.reconcile();
  await held(it, 2);
  expect(await tagsAt(sites.secondaryTarget('never/app'))).toEqual(['v0', 'v1']);
  expect(await it.replication.confirmRemovals()).toBe(2);
  await it.untilIdle();
  expect(await tagsAt(sites.secondaryTarget('never/app'))).toEqual([]);
});

test('a primary that knows nothing any more costs no more than the limit; a person lets the rest go', async () => {
  const tags = await pushTags('unknown/app', 0, 40);
  await using it = await startReplicating(sites, { only: 'unknown/', removalShare: 0.3 });
  await it.untilIdle();
  sites.relay.rules.push(everythingIsUnknown);
  await it.replication.walks.reconcile();
  await held(it, 28);
  expect(await removals(it)).toBe(12);
  // However often it is looked at again.
  await it.mark('unknown/app', ...tags);
  await it.replication.walks.reconcile();
  await it.untilIdle();
  expect(await tagsAt(sites.secondaryTarget('unknown/app'))).toHaveLength(28);

  expect(await it.replication.confirmRemovals()).toBe(28);
  await it.untilIdle();
  expect(await tagsAt(sites.secondaryTarget('unknown/app'))).toEqual([]);
});

test('a primary that knows everything again needs no person: what was held is kept', async () => {
  await pushTags('again/app', 0, 15);
  await using it = await startReplicating(sites, { only: 'again/' });
  await it.untilIdle();
  sites.relay.rules.push(everythingIsUnknown);
  await it.replication.walks.reconcile();
  await held(it, 5);
  sites.relay.rules.length = 0;
  await it.replication.walks.reconcile();
  await held(it, 0);
  await it.untilIdle();
  expect(await tagsAt(sites.secondaryTarget('again/app'))).toHaveLength(15);
});

test('the limit is that of the last 24 hours', async () => {
  await using it = await startReplicating(sites, { only: 'rolling/' });
  for (const day of [0, 1]) {
    const tags = await pushTags('rolling/app', 20 * day, 20 * day + 10);
    await it.mark('rolling/app', ...tags);
    // One that failed at first would not be idle for long.
    for (const tag of tags) await it.until('rolling/app', tag, 'synced');
  }
  const before = sites.relay.rules.length;
  sites.relay.rules.push(everythingIsUnknown);
  await it.mark('rolling/app', ...Array.from({ length: 10 }, (_, nth) => `v${nth}`));
  await it.untilIdle();
  expect(await removals(it)).toBe(10);
  // An hour too early one is held, on time the next goes.
  it.clock.advance(23 * 3_600_000);
  await it.mark('rolling/app', 'v20');
  await it.until('rolling/app', 'v20', 'held');
  it.clock.advance(3_600_001);
  await it.mark('rolling/app', 'v21');
  await it.until('rolling/app', 'v21', 'gone');
  expect(await it.row('rolling/app', 'v20')).toMatchObject({ isHeld: true });
  expect(await removals(it)).toBe(1);
  expect(before).toBe(0);
});

test('ten removals at once are ten, not a few more', async () => {
  const tags = await pushTags('race/app', 0, 24);
  await using it = await startReplicating(sites, { only: 'race/', concurrency: 8 });
  await it.untilIdle();
  sites.relay.rules.push(everythingIsUnknown);
  await it.mark('race/app', ...tags);
  await held(it, 14);
  expect(await removals(it)).toBe(10);
  expect(await tagsAt(sites.secondaryTarget('race/app'))).toHaveLength(14);
});

test('a removal counts, also when the process ended before it was written down', async () => {
  const rows = await openSqlite(temporaryFile());
  await using rig = await createRig(sites);
  await pushImage(sites.secondaryTarget('crash/app'), 'v1', manifest({ config: blob('{}'), layers: [] }));
  await rows.mark([{ repository: 'crash/app', reference: 'v1', priority: PRIORITY.event }], 0);
  const process = (): Removals =>
    new Removals(siteOf(rig, rows), {
      // By digest: the tag is the only one.
      remover: {
        removeTag: () => deleteManifest(sites.secondaryTarget('crash/app'), digest),
        removeManifest: async () => undefined,
      },
      policy: { mode: async () => 'on' },
      onRemoved: () => undefined,
      share: 0.2,
    });
  const { digest } = manifest({ config: blob('{}'), layers: [] });
  const [row] = await rows.claim('first', 1, 1, 2);
  expect(await process().remove(row!, { tag: 'v1' })).toEqual({ kind: 'gone', isRemoval: true });
  const [again] = await rows.claim('second', 1, 10, 20);
  expect(await process().remove(again!, { tag: 'v1' })).toEqual({ kind: 'gone', isRemoval: true });
});

describe('another primary', () => {
  test('removes nothing before all was compared with it and a person has confirmed', async () => {
    await using data = await tempDir();
    const clock = createClock();
    const options = { only: 'moved/', dataDir: data.path, clock };
    await pushTags('moved/app', 0, 4);
    {
      await using it = await startReplicating(sites, options);
      await it.untilIdle();
      expect(it.replication.areRemovalsSuspended).toBe(false);
    }
    const secondary = sites.secondaryTarget('moved/app');
    expect(await tagsAt(secondary)).toHaveLength(4);
    sites.relay.rules.push(everythingIsUnknown);
    const gate = createGate();
    sites.relay.rules.unshift({ match: ({ path }) => path.includes('/_catalog'), gate });
    onTestFinished(() => gate.open());
    await using it = await startReplicating(sites, {
      ...options,
      primaryUrl: 'https://new.example.com/',
      waits: false,
    });
    expect(it.replication.areRemovalsSuspended).toBe(true);
    await held(it, 4);
    // Far below the limit, and yet: nobody knows yet what the new primary has.
    await expect(it.replication.confirmRemovals()).rejects.toThrow(NotCompared);
    expect(await tagsAt(secondary)).toHaveLength(4);
    gate.open();
    await waitFor(() => it.replication.walks.progress.some(({ endedAt }) => endedAt !== undefined), {
      what: 'the comparison',
    });
    await it.untilIdle();
    expect(await tagsAt(secondary)).toHaveLength(4);
    expect(await it.replication.confirmRemovals()).toBe(4);
    expect(it.replication.areRemovalsSuspended).toBe(false);
    await waitFor(async () => (await tagsAt(secondary)).length === 0, { what: 'the confirmed removals' });
  });

  test('is still another after a restart', async () => {
    await using data = await tempDir();
    const options = { only: 'restarted/', dataDir: data.path };
    {
      await using it = await startReplicating(sites, options);
      expect(it.replication.areRemovalsSuspended).toBe(false);
    }
    {
      await using it = await startReplicating(sites, { ...options, primaryUrl: 'https://new.example.com/' });
      expect(it.replication.areRemovalsSuspended).toBe(true);
    }
    await using it = await startReplicating(sites, { ...options, primaryUrl: 'https://new.example.com/' });
    expect(it.replication.areRemovalsSuspended).toBe(true);
    await it.replication.walks.reconcile();
    expect(await it.replication.confirmRemovals()).toBe(0);
    expect(it.replication.areRemovalsSuspended).toBe(false);
  });

  test('brings its own, with every row anew', async () => {
    await using data = await tempDir();
    const options = { only: 'anew/', dataDir: data.path };
    const [old, young] = [image('anew 1', { layers: 1 }), image('anew 2', { layers: 1 })];
    await pushImage(sites.primaryTarget('anew/app'), 'v1', old);
    {
      await using it = await startReplicating(sites, options);
      await it.until('anew/app', 'v1', 'synced');
    }
    await pushImage(sites.primaryTarget('anew/app'), 'v1', young);
    await pushImage(sites.primaryTarget('anew/other'), 'v1', young);
    await using it = await startReplicating(sites, { ...options, primaryUrl: 'https://new.example.com/' });
    for (const repository of ['anew/app', 'anew/other']) {
      expect(await it.until(repository, 'v1', 'synced')).toMatchObject({ localDigest: young.digest });
    }
  });
});
