// What many repositories share crosses the WAN once.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { blob, type Blob } from '../support/content.ts';
import { manifest, type Manifest } from '../support/image.ts';
import { pushImage } from '../support/push.ts';
import { tempDir } from '../support/tool.ts';
import { deleteBlob, digestAt, startReplicating, startRigSites, type RigSites } from './rig.ts';

let sites: RigSites;

beforeAll(async () => {
  sites = await startRigSites();
});
afterAll(() => sites.close());
beforeEach(() => {
  sites.relay.reset();
  sites.localRelay.reset();
});

const repositories = (group: string): string[] => Array.from({ length: 12 }, (_, nth) => `${group}/app-${nth}`);

function imageOn(base: Blob, name: string): Manifest {
  return manifest({ layers: [base, blob(3_000, name)] });
}

function wanBytes(): number {
  return sites.relay.bodyBytes(({ path, method }) => method === 'GET' && path.includes('/blobs/'));
}

function uniqueBytes(images: readonly Manifest[]): number {
  const unique = new Map(images.flatMap(({ blobs }) => blobs).map((one) => [one.digest, one.size]));
  return [...unique.values()].reduce((sum, size) => sum + size, 0);
}

async function pushAll(group: string): Promise<Manifest[]> {
  const base = blob(400_000, `${group} base`);
  const images = repositories(group).map((name) => imageOn(base, name));
  for (const [nth, name] of repositories(group).entries())
    await pushImage(sites.primaryTarget(name), 'v1', images[nth]!);
  return images;
}

async function expectAll(group: string, images: readonly Manifest[]): Promise<void> {
  for (const [nth, name] of repositories(group).entries()) {
    expect(await digestAt(sites.secondaryTarget(name), 'v1')).toBe(images[nth]!.digest);
  }
}

test('a base layer of 12 repositories that come at once is brought once', async () => {
  const images = await pushAll('at-once');
  await using it = await startReplicating(sites, { only: 'at-once/', concurrency: 6 });
  await it.untilIdle();
  await expectAll('at-once', images);
  expect(wanBytes()).toBe(uniqueBytes(images));
});

test('so it is when they come one after the other, by processes that know nothing of each other', async () => {
  await using data = await tempDir();
  const images = await pushAll('in-turn');
  for (const name of repositories('in-turn')) {
    await using it = await startReplicating(sites, { only: name, dataDir: data.path, listed: [] });
    await it.mark(name, 'v1');
    await it.until(name, 'v1', 'synced');
  }
  await expectAll('in-turn', images);
  expect(wanBytes()).toBe(uniqueBytes(images));
});

test('a layer that is not any more where it was is brought again', async () => {
  const base = blob(50_000, 'gone base');
  const [first, second] = [imageOn(base, 'gone 1'), imageOn(base, 'gone 2')];
  await pushImage(sites.primaryTarget('gone/a'), 'v1', first);
  await using it = await startReplicating(sites, { only: 'gone/' });
  await it.until('gone/a', 'v1', 'synced');
  await deleteBlob(sites.secondaryTarget('gone/a'), base.digest);
  await pushImage(sites.primaryTarget('gone/b'), 'v1', second);
  await it.mark('gone/b', 'v1');
  await it.until('gone/b', 'v1', 'synced');
  expect(await digestAt(sites.secondaryTarget('gone/b'), 'v1')).toBe(second.digest);
});

test('what the primary does not have in a repository is not linked into it', async () => {
  const base = blob(50_000, 'stolen base');
  const mine = imageOn(base, 'stolen 1');
  const theirs = imageOn(base, 'stolen 2');
  await pushImage(sites.primaryTarget('stolen/a'), 'v1', mine);
  await using it = await startReplicating(sites, { only: 'stolen/' });
  await it.until('stolen/a', 'v1', 'synced');
  await pushImage(sites.primaryTarget('stolen/b'), 'v1', theirs);
  await deleteBlob(sites.primaryTarget('stolen/b'), base.digest);
  await it.mark('stolen/b', 'v1');
  expect((await it.until('stolen/b', 'v1', 'failed'))?.lastError).toContain(`${base.digest}: missing at the primary`);
  expect(sites.localRelay.count(({ path }) => path.includes('mount='))).toBe(0);
  const link = `${sites.secondary.url}/v2/stolen/b/blobs/${base.digest}`;
  expect((await fetch(link, { method: 'HEAD' })).status).toBe(404);
});
