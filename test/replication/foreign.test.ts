// Foreign layers: their URLs say where else they may be had, and not that the registries lack them.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { blob } from '../support/content.ts';
import { foreignImage } from '../support/image.ts';
import { pushImage } from '../support/push.ts';
import { deleteBlob, startReplicating, startRigSites, type RigSites } from './rig.ts';

let sites: RigSites;

beforeAll(async () => {
  const urlsAllow = ['^https?://'];
  sites = await startRigSites({ primary: { urlsAllow }, secondary: { urlsAllow } });
});
afterAll(() => sites.close());
beforeEach(() => {
  sites.relay.reset();
  sites.localRelay.reset();
});

async function isHere(repository: string, digest: string): Promise<boolean> {
  const response = await fetch(`${sites.secondary.url}/v2/${repository}/blobs/${digest}`, { method: 'HEAD' });
  return response.ok;
}

test('one that the primary has is brought, and brought again when a verification misses it', async () => {
  const layer = blob(2_000, 'foreign, at the primary');
  await pushImage(sites.primaryTarget('there/app'), 'v1', foreignImage(layer));
  await using it = await startReplicating(sites, { only: 'there/' });
  await it.until('there/app', 'v1', 'synced');
  expect(await isHere('there/app', layer.digest)).toBe(true);
  expect(await it.replication.verification.run()).toMatchObject({ verified: 1, marked: 0 });
  await deleteBlob(sites.secondaryTarget('there/app'), layer.digest);
  expect(await it.replication.verification.run()).toMatchObject({ verified: 0, marked: 1 });
  await it.until('there/app', 'v1', 'synced');
  expect(await isHere('there/app', layer.digest)).toBe(true);
});

test('one that the primary does not have is missed by nobody, and found when it comes', async () => {
  const layer = blob(2_000, 'foreign, elsewhere');
  await pushImage(sites.primaryTarget('elsewhere/app'), 'v1', foreignImage(layer, { isElsewhere: true }));
  await using it = await startReplicating(sites, { only: 'elsewhere/' });
  await it.until('elsewhere/app', 'v1', 'synced');
  expect(await it.replication.verification.run()).toMatchObject({ verified: 1, marked: 0, damaged: 0 });
  await pushImage(sites.primaryTarget('elsewhere/app'), 'v1', foreignImage(layer));
  expect(await it.replication.verification.run()).toMatchObject({ marked: 1 });
  await it.until('elsewhere/app', 'v1', 'synced');
  expect(await isHere('elsewhere/app', layer.digest)).toBe(true);
});

test('one of which the primary says nothing makes no row synced', async () => {
  const layer = blob(2_000, 'foreign, not known');
  await pushImage(sites.primaryTarget('unclear/app'), 'v1', foreignImage(layer));
  sites.relay.rules.push({ match: ({ path }) => path.includes(layer.digest), answer: { status: 500 } });
  await using it = await startReplicating(sites, { only: 'unclear/' });
  await it.until('unclear/app', 'v1', 'failed');
  sites.relay.rules.length = 0;
  await it.mark('unclear/app', 'v1');
  await it.until('unclear/app', 'v1', 'synced');
  expect(await isHere('unclear/app', layer.digest)).toBe(true);
});
