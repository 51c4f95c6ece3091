// R6 with registries that redirect to their object storages: what verification finds there, and what becomes of it.
import { open, rm, truncate } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { blob, digestOf, type SmallBlob } from '../support/content.ts';
import { manifest } from '../support/image.ts';
import { startObjectStorage, type ObjectStorage } from '../support/object-storage.ts';
import { pushImage } from '../support/push.ts';
import { startReplicating, startRigSites, type Replicating, type RigSites } from './rig.ts';

let sites: RigSites;
let storages: { readonly primary: ObjectStorage; readonly secondary: ObjectStorage };
beforeAll(async () => {
  storages = { primary: await startObjectStorage(), secondary: await startObjectStorage() };
  // They remember descriptors, as sites with an object storage let them: what they redirect for may be gone.
  sites = await startRigSites({
    primary: { redirectTo: storages.primary.url },
    secondary: { redirectTo: storages.secondary.url, descriptorCache: 'inmemory' },
  });
  storages.primary.root = sites.primary.dir;
  storages.secondary.root = sites.secondary.dir;
});
afterEach(async () => {
  sites.relay.reset();
  sites.localRelay.reset();
  for (const storage of [storages.primary, storages.secondary]) {
    await storage.up();
    storage.faults.length = 0;
    storage.asked.length = 0;
  }
});
afterAll(async () => {
  await sites.close();
  await Promise.all([storages.primary.close(), storages.secondary.close()]);
});

let count = 0;

interface Synced extends AsyncDisposable {
  readonly name: string;
  readonly layer: SmallBlob;
  readonly site: Replicating;
}

/** An image that is synced, in a repository of its own. */
async function synced(): Promise<Synced> {
  const name = `storage${(count += 1)}/app`;
  const layer = blob(300_000, name);
  await pushImage(sites.primaryTarget(name), 'v1', manifest({ layers: [layer] }));
  const site = await startReplicating(sites, { only: name });
  await site.until(name, 'v1', 'synced');
  storages.secondary.asked.length = 0;
  return { name, layer, site, [Symbol.asyncDispose]: () => site[Symbol.asyncDispose]() };
}

async function digestHere({ name, layer }: Synced): Promise<string> {
  const response = await fetch(`${sites.secondary.url}/v2/${name}/blobs/${layer.digest}`);
  return digestOf(Buffer.from(await response.arrayBuffer()));
}

test('what comes by redirects is synced, and every byte of it is verified', async () => {
  await using made = await synced();
  const { layer, site } = made;
  const run = await site.replication.verification.run();
  expect(run).toMatchObject({ verified: 1, marked: 0, unknown: 0, damaged: 0, blobs: 2 });
  expect(run.bytes).toBeGreaterThan(layer.size);
  expect(await digestHere(made)).toBe(layer.digest);
  const asked = [...storages.primary.asked, ...storages.secondary.asked];
  expect(asked.every(({ method, headers }) => method === 'GET' && headers.authorization === undefined)).toBe(true);
});

test.each([
  ['cut off', (file: string) => truncate(file, 1_000)],
  ['empty', (file: string) => truncate(file, 0)],
  [
    'of other bytes',
    async (file: string) => {
      await using opened = await open(file, 'r+');
      await opened.write(Buffer.from('other bytes'), 0, 11, 1_000);
    },
  ],
])('an object that is %s is damaged until it is removed', async (_what, damage) => {
  await using made = await synced();
  const { name, layer, site } = made;
  const file = sites.secondary.blobFile(layer.digest);
  await damage(file);
  expect(await site.replication.verification.run()).toMatchObject({ verified: 0, marked: 1, damaged: 1 });
  expect((await site.until(name, 'v1', 'failed'))?.lastError).toMatch(`blob ${layer.digest}: damaged`);
  expect([...site.damaged]).toEqual([layer.digest]);
  await rm(file);
  await site.replication.verification.run();
  await site.until(name, 'v1', 'synced');
  expect(await digestHere(made)).toBe(layer.digest);
  expect(site.damaged.size).toBe(0);
});

test('an object that is gone, of which the registry speaks well, is brought again', async () => {
  await using made = await synced();
  const { name, layer, site } = made;
  await rm(sites.secondary.blobFile(layer.digest));
  expect(await site.replication.verification.run()).toMatchObject({ verified: 0, marked: 1, unknown: 0, damaged: 1 });
  await site.until(name, 'v1', 'synced');
  expect(await digestHere(made)).toBe(layer.digest);
  expect(site.damaged.size).toBe(0);
});

test('a storage that is down ends verification, and nothing is said of what is there', async () => {
  await using made = await synced();
  const { name, site } = made;
  await storages.secondary.down();
  const run = await site.replication.verification.run();
  expect(run).toMatchObject({ verified: 0, marked: 0, damaged: 0 });
  expect(run.error).toMatch(`secondary: redirected to ${new URL(storages.secondary.url).host}: `);
  expect((await site.row(name, 'v1'))?.state).toBe('synced');
  await storages.secondary.up();
  expect(await site.replication.verification.run()).toMatchObject({ verified: 1, damaged: 0 });
});

test.each([403, 404, 500, 503])('one that answers %i leaves it open, for this run', async (status) => {
  await using made = await synced();
  const { name, site } = made;
  storages.secondary.faults.push({ status });
  expect(await site.replication.verification.run()).toMatchObject({ verified: 0, marked: 0, unknown: 1, damaged: 0 });
  expect((await site.row(name, 'v1'))?.state).toBe('synced');
  storages.secondary.faults.length = 0;
  expect(await site.replication.verification.run()).toMatchObject({ verified: 1 });
});

test('one that ignores ranges is verified all the same', async () => {
  await using made = await synced();
  storages.secondary.faults.push({ ignoreRange: true });
  expect(await made.site.replication.verification.run()).toMatchObject({ verified: 1, unknown: 0, damaged: 0 });
});

test('a body that the storage breaks off once is read again', async () => {
  await using made = await synced();
  const { site } = made;
  storages.secondary.faults.push({ cutAfter: 1_000, times: 3 });
  expect(await site.replication.verification.run()).toMatchObject({ damaged: 0, marked: 0 });
});
