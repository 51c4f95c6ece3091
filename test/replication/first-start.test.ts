// Removals at a first start: nothing is known of the primary, and it may be the wrong one.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { NotCompared } from '../../src/replication/suspension.ts';
import { image } from '../support/image.ts';
import { deleteManifest, pushImage } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { tempDir, waitFor } from '../support/tool.ts';
import { deleteTag, startReplicating, startRigSites, tagsAt, type Replicating, type RigSites } from './rig.ts';

let sites: RigSites;

beforeAll(async () => {
  sites = await startRigSites();
});
afterAll(() => sites.close());
beforeEach(() => {
  sites.relay.reset();
  sites.localRelay.reset();
});

const first = { isFirstStart: true } as const;

async function untilTrusted({ replication }: Replicating): Promise<void> {
  await waitFor(() => !replication.areRemovalsSuspended, { what: 'the suspension to end', timeout: 20_000 });
}

async function untilCompared({ replication }: Replicating): Promise<void> {
  const isEnded = (): boolean =>
    replication.walks.progress.some(({ kind, endedAt }) => kind === 'reconcile' && endedAt !== undefined);
  await waitFor(isEnded, { what: 'the comparison', timeout: 20_000 });
}

async function untilHeld({ rows, clock }: Replicating, count: number): Promise<void> {
  await waitFor(async () => (await rows.counts(clock.now())).held === count, {
    what: `${count} held`,
    timeout: 20_000,
  });
}

test('a primary that has nothing of what is here costs nothing, until a person confirms', async () => {
  const secondary = sites.secondaryTarget('swapped/app');
  for (const tag of ['v1', 'v2', 'v3']) await pushImage(secondary, tag, image(`swapped ${tag}`, { layers: 1 }));
  await pushImage(sites.primaryTarget('swapped/app'), 'v1', image('swapped v1', { layers: 1 }));
  await using it = await startReplicating(sites, { only: 'swapped/', ...first });
  await untilCompared(it);
  await untilHeld(it, 2);
  await it.replication.walks.reconcile();
  await it.untilIdle();
  expect(await tagsAt(secondary)).toEqual(['v1', 'v2', 'v3']);
  expect(it.replication.areRemovalsSuspended).toBe(true);

  expect(await it.replication.confirmRemovals()).toBe(2);
  await waitFor(async () => (await tagsAt(secondary)).length === 1, { what: 'the confirmed removals' });
  expect(it.replication.areRemovalsSuspended).toBe(false);
});

test('a person cannot confirm before everything was compared', async () => {
  await pushImage(sites.secondaryTarget('early/app'), 'v1', image('early', { layers: 1 }));
  const gate = createGate();
  sites.relay.rules.push({ match: ({ path }) => path.includes('/_catalog'), gate });
  await using it = await startReplicating(sites, { only: 'early/', waits: false, ...first });
  await expect(it.replication.confirmRemovals()).rejects.toThrow(NotCompared);
  gate.open();
  await untilCompared(it);
  await untilHeld(it, 1);
  expect(await it.replication.confirmRemovals()).toBe(1);
});

test('where nothing is here only, nobody has to confirm', async () => {
  await pushImage(sites.primaryTarget('empty/app'), 'v1', image('empty', { layers: 1 }));
  await using it = await startReplicating(sites, { only: 'empty/', ...first });
  await untilTrusted(it);
  await pushImage(sites.secondaryTarget('empty/app'), 'stray', image('empty stray', { layers: 1 }));
  await it.mark('empty/app', 'stray');
  await it.until('empty/app', 'stray', 'gone');
  expect(await tagsAt(sites.secondaryTarget('empty/app'))).not.toContain('stray');
});

test('what was brought from this primary goes with it, whatever else is here only', async () => {
  await pushImage(sites.secondaryTarget('stale/app'), 'stale', image('stale', { layers: 1 }));
  await pushImage(sites.primaryTarget('stale/app'), 'v1', image('stale v1', { layers: 1 }));
  await using it = await startReplicating(sites, { only: 'stale/', ...first });
  await it.until('stale/app', 'v1', 'synced');
  await untilHeld(it, 1);
  await deleteTag(sites.primaryTarget('stale/app'), 'v1');
  await it.mark('stale/app', 'v1');
  await it.until('stale/app', 'v1', 'gone');
  expect(await tagsAt(sites.secondaryTarget('stale/app'))).toEqual(['stale']);
});

test('the suspension outlives a restart, and ends by itself when a comparison finds nothing any more', async () => {
  await using data = await tempDir();
  const options = { only: 'mended/', dataDir: data.path, ...first };
  const stale = image('mended', { layers: 1 });
  await pushImage(sites.secondaryTarget('mended/app'), 'v1', stale);
  {
    await using it = await startReplicating(sites, options);
    await untilHeld(it, 1);
  }
  await deleteManifest(sites.secondaryTarget('mended/app'), stale.digest);
  await using it = await startReplicating(sites, options);
  await untilTrusted(it);
});

test('a secondary whose catalog cannot be read is not taken for empty', async () => {
  await pushImage(sites.secondaryTarget('unread/app'), 'v1', image('unread', { layers: 1 }));
  sites.localRelay.rules.push({ match: ({ path }) => path.includes('/_catalog'), answer: { status: 404 } });
  await using it = await startReplicating(sites, { only: 'unread/', ...first });
  await untilCompared(it);
  expect(it.replication.areRemovalsSuspended).toBe(true);
  await it.mark('unread/app', 'v1');
  await it.until('unread/app', 'v1', 'held');
});
