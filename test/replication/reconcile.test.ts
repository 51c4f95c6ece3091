// Reconcile: what no event has told of is found, and what is in place costs little.
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { PRIORITY } from '../../src/replication/row.ts';
import { blob } from '../support/content.ts';
import { artifact, image, mediaTypes, type Manifest } from '../support/image.ts';
import { deleteManifest, pushImage } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { waitFor } from '../support/tool.ts';
import { deleteTag, digestAt, startReplicating, startRigSites, tagsAt, type RigSites } from './rig.ts';

let sites: RigSites;

beforeAll(async () => {
  sites = await startRigSites();
});
afterAll(() => sites.close());
beforeEach(() => {
  sites.relay.reset();
  sites.localRelay.reset();
});

const json = { 'content-type': 'application/json; charset=utf-8' };

const one = (text: string): Manifest => image(text, { layers: 1 });

test('where all is in place it costs one HEAD a side and tag, and marks nothing', async () => {
  const repositories = ['calm/a', 'calm/b', 'calm/c'];
  for (const name of repositories) {
    for (const tag of ['v1', 'v2', 'v3', 'v4']) await pushImage(sites.primaryTarget(name), tag, one(`${name} ${tag}`));
  }
  await using it = await startReplicating(sites, { only: 'calm/' });
  await it.untilIdle();
  const before = await it.rows.list({});
  for (const relay of [sites.relay, sites.localRelay]) relay.reset();
  const progress = await it.replication.walks.reconcile();
  expect(progress).toMatchObject({ repositories: 3, repositoriesDone: 3, tags: 12, marked: 0 });
  for (const relay of [sites.relay, sites.localRelay]) {
    expect(relay.count(({ method, path }) => method === 'HEAD' && path.includes('/manifests/'))).toBe(12);
    const lists = relay.requests.filter(({ method, path }) => method !== 'HEAD' && path !== '/v2/');
    expect(lists.every(({ path }) => /\/_catalog\?|\/tags\/list\?|\/referrers\//.test(path))).toBe(true);
    expect(lists.length).toBeLessThanOrEqual(repositories.length + 2);
  }
  expect(await it.rows.list({})).toEqual(before);
});

test('a lost push, a lost deletion, a moved tag and one that is only here are found', async () => {
  const primary = sites.primaryTarget('lost/app');
  const secondary = sites.secondaryTarget('lost/app');
  for (const tag of ['same', 'moved', 'deleted']) await pushImage(primary, tag, one(`lost ${tag}`));
  await using it = await startReplicating(sites, { only: 'lost/' });
  await it.untilIdle();
  await pushImage(primary, 'pushed', one('lost pushed'));
  await pushImage(primary, 'moved', one('lost moved again'));
  await deleteTag(primary, 'deleted');
  await pushImage(secondary, 'only-here', one('lost only here'));
  expect(await it.replication.walks.reconcile()).toMatchObject({ marked: 4 });
  // A removal that failed at first is not idle for long.
  await it.until('lost/app', 'only-here', 'gone');
  await it.untilIdle();
  expect(await tagsAt(secondary)).toEqual(['moved', 'pushed', 'same']);
  for (const tag of ['moved', 'pushed', 'same'])
    expect(await digestAt(secondary, tag)).toBe(await digestAt(primary, tag));
  expect(await it.replication.walks.reconcile()).toMatchObject({ marked: 0 });
});

test('a tag that somebody moved in the secondary is moved back', async () => {
  const right = one('right');
  await pushImage(sites.primaryTarget('tampered/app'), 'v1', right);
  await using it = await startReplicating(sites, { only: 'tampered/' });
  await it.untilIdle();
  await pushImage(sites.secondaryTarget('tampered/app'), 'v1', one('wrong'));
  await it.replication.walks.reconcile();
  await it.untilIdle();
  expect(await digestAt(sites.secondaryTarget('tampered/app'), 'v1')).toBe(right.digest);
});

test('a repository that is only here is found, whether or not its rows were lost', async () => {
  await pushImage(sites.secondaryTarget('orphan/app'), 'v1', one('orphan'));
  await using it = await startReplicating(sites, { only: 'orphan/' });
  await it.replication.walks.reconcile();
  await it.untilIdle();
  expect(await tagsAt(sites.secondaryTarget('orphan/app'))).toEqual([]);
});

test('a lost deletion of a manifest without a tag is found', async () => {
  const [kept, deleted] = [one('digest kept'), one('digest deleted')];
  await using it = await startReplicating(sites, { only: 'digests/' });
  for (const pushed of [kept, deleted]) await pushImage(sites.primaryTarget('digests/app'), undefined, pushed);
  await it.mark('digests/app', kept.digest, deleted.digest);
  await it.untilIdle();
  await deleteManifest(sites.primaryTarget('digests/app'), deleted.digest);
  expect(await it.replication.walks.reconcile()).toMatchObject({ marked: 1 });
  await it.untilIdle();
  expect(await digestAt(sites.secondaryTarget('digests/app'), kept.digest)).toBe(kept.digest);
  expect(await digestAt(sites.secondaryTarget('digests/app'), deleted.digest)).toBeUndefined();
});

test('a lost push of what refers to an image is found, where the primary lists it', async () => {
  const subject = one('signed');
  const signature = artifact(subject, 'application/vnd.example.signature', blob('signature'));
  await pushImage(sites.primaryTarget('signed/app'), 'v1', subject);
  await pushImage(sites.primaryTarget('signed/app'), undefined, signature);
  const list = (...manifests: readonly Manifest[]): void =>
    void sites.relay.rules.unshift({
      match: ({ path }) => path.includes('/signed/app/referrers/'),
      answer: {
        status: 200,
        headers: { 'content-type': mediaTypes.ociIndex },
        body: JSON.stringify({ manifests: manifests.map(({ mediaType, digest }) => ({ mediaType, digest })) }),
      },
    });
  list();
  await using it = await startReplicating(sites, { only: 'signed/' });
  await it.until('signed/app', 'v1', 'synced');
  await it.untilIdle();
  expect(await it.replication.walks.reconcile()).toMatchObject({ marked: 0 });
  list(signature);
  expect(await it.replication.walks.reconcile()).toMatchObject({ marked: 1 });
  await it.until('signed/app', signature.digest, 'synced');
  expect(await it.replication.walks.reconcile()).toMatchObject({ marked: 0 });
});

test('what is unsupported is forgotten once it is gone at the primary', async () => {
  await using it = await startReplicating(sites, { only: 'unsupported/' });
  // The row is ours to end: the worker claims nothing meanwhile.
  it.replication.worker.pause(60_000, 'the row is worked on by the test');
  await it.rows.mark([{ repository: 'unsupported/app', reference: 'v1', priority: PRIORITY.event }], it.clock.now());
  const [row] = await it.rows.claim('test', 1, it.clock.now(), it.clock.now() + 60_000);
  await it.rows.finish('test', row!, { kind: 'unsupported', error: 'schema 1' }, it.clock.now());
  it.clock.advance(60_000);
  await it.replication.walks.reconcile();
  await it.until('unsupported/app', 'v1', 'gone');
});

test('what waits for a worker is not marked once more', async () => {
  await using it = await startReplicating(sites, { only: 'waiting/' });
  await pushImage(sites.primaryTarget('waiting/app'), 'v1', one('waiting'));
  sites.relay.rules.push({
    match: ({ method, path }) => method === 'GET' && path.includes('/waiting/app/manifests/'),
    answer: { status: 500, headers: json, body: '{}' },
  });
  await it.mark('waiting/app', 'v1');
  const { generation } = (await it.until('waiting/app', 'v1', 'failed'))!;
  expect(await it.replication.walks.reconcile()).toMatchObject({ marked: 0 });
  expect((await it.row('waiting/app', 'v1'))?.generation).toBe(generation);
});

test('one tag that cannot be compared is a worker’s, and ends nothing', async () => {
  for (const tag of ['v1', 'v2', 'v3']) await pushImage(sites.primaryTarget('unclear/app'), tag, one(`unclear ${tag}`));
  await using it = await startReplicating(sites, { only: 'unclear/' });
  await it.untilIdle();
  sites.relay.rules.push({
    match: ({ path }) => path.endsWith('/unclear/app/manifests/v2'),
    answer: { status: 500, headers: json, body: '{}' },
  });
  expect(await it.replication.walks.reconcile()).toMatchObject({ tags: 3, marked: 1, repositoriesFailed: 0 });
  const row = await it.until('unclear/app', 'v2', 'failed');
  expect(row?.lastError).toContain('500');
});

test.each(['relay', 'localRelay'] as const)(
  'when the registry behind the %s goes down it ends, and marks nothing',
  async (which) => {
    const name = `down/${which.toLowerCase()}`;
    for (const tag of ['v1', 'v2', 'v3']) await pushImage(sites.primaryTarget(name), tag, one(`${name} ${tag}`));
    await using it = await startReplicating(sites, { only: name });
    await it.untilIdle();
    const before = await it.rows.list({});
    const gate = createGate();
    onTestFinished(() => gate.open());
    sites[which].rules.push({
      match: ({ method, path }) => method === 'HEAD' && path.startsWith(`/v2/${name}/`),
      gate,
    });
    const walk = it.replication.walks.reconcile();
    await waitFor(() => gate.arrived > 0, { what: 'the first comparison' });
    await sites[which].down();
    const { error, marked } = await walk;
    await sites[which].up();
    expect(error).toContain(which === 'relay' ? 'primary' : 'secondary');
    expect(marked).toBe(0);
    expect(await it.rows.list({})).toEqual(before);
  },
);

test('it comes by itself in its interval', async () => {
  await pushImage(sites.primaryTarget('interval/app'), 'v1', one('interval 1'));
  await using it = await startReplicating(sites, { only: 'interval/', reconcileInterval: 100 });
  await it.untilIdle();
  const moved = one('interval 2');
  await pushImage(sites.primaryTarget('interval/app'), 'v1', moved);
  await waitFor(async () => (await it.row('interval/app', 'v1'))?.localDigest === moved.digest, {
    what: 'the moved tag',
  });
});

test('closing ends a walk that runs', async () => {
  const gate = createGate();
  onTestFinished(() => gate.open());
  await using it = await startReplicating(sites, { only: 'closing/' });
  sites.relay.rules.push({ match: ({ path }) => path.startsWith('/v2/_catalog'), gate });
  const walk = it.replication.walks.reconcile();
  await waitFor(() => gate.arrived > 0, { what: 'the walk' });
  const closed = it.replication.close(10_000);
  gate.open();
  await closed;
  expect(await walk).toMatchObject({ error: 'stopped' });
});
