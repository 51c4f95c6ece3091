// A real registry's notifications, as they come to the rows of a real database.
import { expect, onTestFinished, test } from 'vitest';
import { StoreUnavailable, type RowStore } from '../../src/replication/rows.ts';
import type { EventRows } from '../../src/replication/event-writer.ts';
import { blob } from '../support/content.ts';
import { index, manifest, type Manifest } from '../support/image.ts';
import { deleteManifest, pushBlob, pushImage, putManifest, type Target } from '../support/push.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { waitFor } from '../support/tool.ts';
import { openSqlite, temporaryFile } from './store/sqlite-files.ts';
import { now, startWebhook, token } from './webhook-rig.ts';

interface Site {
  readonly store: RowStore;
  readonly registry: Registry;
  readonly target: Target;
  readonly counted: Readonly<Record<string, number>>;
  /** References that are marked, in the order of their first marks, when all events so far have come. */
  marked(): Promise<string[]>;
}

/** A registry that notifies the webhook, whose rows are `over` those of a database. */
async function startSite(over: (store: RowStore) => EventRows = (store) => store, secret = token): Promise<Site> {
  const store = await openSqlite(temporaryFile());
  const { url, counted } = await startWebhook({ rows: over(store) });
  const notifications = { url, headers: { Authorization: [secret] }, backoff: '50ms' };
  const registry = await startRegistry({ name: 'primary', notifications });
  onTestFinished(() => registry.close());
  let sentinels = 0;
  return {
    store,
    registry,
    target: { url: registry.url, repository: 'group/project' },
    counted,
    async marked() {
      // A registry sends its events one after the other: the last one's coming tells that all came.
      const repository = `sentinel/${(sentinels += 1)}`;
      await pushImage({ url: registry.url, repository }, 'end', manifest());
      await waitFor(() => store.find(repository, 'end'), { what: 'the last event' });
      const rows = await store.list({ repository: 'group/project' });
      return rows.map(({ reference }) => reference);
    },
  };
}

function imageOf(seed: string): Manifest {
  return manifest({ layers: [blob(1_000, seed)] });
}

test('a push of a tag marks the tag, and of its blobs nothing', async () => {
  const { target, store, counted, marked } = await startSite();
  await pushImage(target, 'v1', imageOf('one'));
  expect(await marked()).toEqual(['v1']);
  expect(await store.find('group/project', 'v1')).toMatchObject({ state: 'pending', priority: 1, eventAt: now });
  expect(counted['events_total ignored']).toBeGreaterThanOrEqual(2);
  expect(await store.malformed(10)).toEqual([]);
});

test('manifests pushed by digest, among them an index, are marked by digest', async () => {
  const { target, marked } = await startSite();
  const children = [imageOf('one'), imageOf('two')];
  const list = index(children);
  await pushImage(target, undefined, list);
  expect(await marked()).toEqual([...children, list].map(({ digest }) => digest));
});

test('another tag of the same digest and a tag that moves are marked, each time', async () => {
  const { target, store, marked } = await startSite();
  const [one, two] = [imageOf('one'), imageOf('two')];
  await pushImage(target, 'v1', one);
  await putManifest(target, 'latest', one);
  await pushImage(target, 'latest', two);
  expect(await marked()).toEqual(['v1', 'latest']);
  expect(await store.find('group/project', 'latest')).toMatchObject({ generation: 2 });
});

test('a deletion marks the digest and all its tags', async () => {
  const { target, store, marked } = await startSite();
  const image = imageOf('one');
  await pushImage(target, 'v1', image);
  await putManifest(target, 'v2', image);
  await pushImage(target, 'v3', imageOf('two'));
  await deleteManifest(target, image.digest);
  expect((await marked()).sort()).toEqual([image.digest, 'v1', 'v2', 'v3'].sort());
  const generations = ['v1', 'v2', 'v3'].map(async (tag) => (await store.find('group/project', tag))?.generation);
  expect(await Promise.all(generations)).toEqual([2, 2, 1]);
});

test('pulls and blobs alone mark nothing', async () => {
  const { target, registry, store, counted, marked } = await startSite();
  const layer = blob(1_000, 'layer');
  await pushBlob(target, layer);
  await (await fetch(`${registry.url}/v2/group/project/blobs/${layer.digest}`)).arrayBuffer();
  expect(await marked()).toEqual([]);
  expect(counted['events_total ignored']).toBeGreaterThanOrEqual(2);
  expect(await store.malformed(10)).toEqual([]);
});

test('while the rows cannot be written the registry sends its events again, and none is lost', async () => {
  let failures = 0;
  const { target, counted, marked } = await startSite((store) => ({
    keepMalformed: (event) => store.keepMalformed(event),
    repositories: () => store.repositories(),
    async mark(marks, at) {
      failures += 1;
      if (failures <= 4) throw new StoreUnavailable('disk full');
      await store.mark(marks, at);
    },
  }));
  await pushImage(target, 'v1', imageOf('one'));
  await pushImage(target, 'v2', imageOf('two'));
  expect(await marked()).toEqual(['v1', 'v2']);
  expect(counted['event_requests_total unstored']).toBe(4);
});

test('a registry with another token is refused, and says so in its log', async () => {
  const { target, registry, store, counted } = await startSite(undefined, 'another secret');
  await pushImage(target, 'v1', imageOf('one'));
  await waitFor(() => registry.log().includes('401 Unauthorized'), { what: 'the word of the registry' });
  expect(await store.repositories()).toEqual([]);
  expect(Object.keys(counted)).toEqual(['event_requests_total refused']);
});
