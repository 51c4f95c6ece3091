// Backfill: everything that the primary has, once, however often it is interrupted.
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { image } from '../support/image.ts';
import { pushImage } from '../support/push.ts';
import { createGate, type Gate } from '../support/relay-rule.ts';
import { tempDir, waitFor } from '../support/tool.ts';
import { digestAt, startReplicating, startRigSites, type RigSites } from './rig.ts';

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

async function pushEach(...repositories: readonly string[]): Promise<void> {
  for (const name of repositories) await pushImage(sites.primaryTarget(name), 'v1', image(name, { layers: 1 }));
}

/** Makes the primary's catalog one of these pages. */
function catalogOf(...pages: readonly (readonly string[])[]): void {
  for (const [nth, repositories] of pages.entries()) {
    const [query, next] = [nth === 0 ? 'n=1000' : `last=page${nth}`, `last=page${nth + 1}`];
    const link = nth + 1 < pages.length ? { link: `</v2/_catalog?${next}>; rel="next"` } : {};
    sites.relay.rules.push({
      match: ({ path }) => path === `/v2/_catalog?${query}`,
      answer: { status: 200, headers: { ...json, ...link }, body: JSON.stringify({ repositories }) },
    });
  }
}

/** Holds the walk at a repository's list of tags. */
function holdAt(repository: string): Gate {
  const gate = createGate();
  onTestFinished(() => gate.open());
  sites.relay.rules.push({ match: ({ path }) => path.startsWith(`/v2/${repository}/tags/list`), gate });
  return gate;
}

const isCatalog = ({ path }: { path: string }): boolean => path.startsWith('/v2/_catalog');

test('everything that the primary has comes, tags of every repository, once', async () => {
  await pushEach('all/a', 'all/b', 'all/c/d');
  await pushImage(sites.primaryTarget('all/a'), 'v2', image('all/a 2', { layers: 1 }));
  await using it = await startReplicating(sites, { only: 'all/' });
  await it.untilIdle();
  expect((await it.rows.counts(it.clock.now())).states.synced).toBe(4);
  for (const name of ['all/a', 'all/b', 'all/c/d']) {
    expect(await digestAt(sites.secondaryTarget(name), 'v1')).toBe(image(name, { layers: 1 }).digest);
  }
  const [progress] = it.replication.walks.progress;
  expect(progress).toMatchObject({ kind: 'backfill', repositories: 3, repositoriesDone: 3, tags: 4, marked: 4 });
});

test('interrupted in its first page it begins there again; after it, there: no repository is left out', async () => {
  await using data = await tempDir();
  const options = { only: 'paged/', dataDir: data.path };
  await pushEach('paged/a', 'paged/b', 'paged/c', 'paged/d');
  const pages = [['paged/a', 'paged/b'], ['paged/c'], ['paged/d']];

  catalogOf(...pages);
  const atB = holdAt('paged/b');
  {
    await using it = await startReplicating(sites, { ...options, waits: false });
    await it.until('paged/a', 'v1', 'synced');
    await waitFor(() => atB.arrived > 0, { what: 'the walk to come to b' });
  }
  sites.relay.reset();
  catalogOf(...pages);
  const atC = holdAt('paged/c');
  {
    await using it = await startReplicating(sites, { ...options, waits: false });
    await it.until('paged/b', 'v1', 'synced');
    await waitFor(() => atC.arrived > 0, { what: 'the walk to come to c' });
  }
  sites.relay.reset();
  catalogOf(...pages);
  await using it = await startReplicating(sites, options);
  for (const name of ['paged/c', 'paged/d']) await it.until(name, 'v1', 'synced');
  const queries = sites.relay.requests.filter(isCatalog).map(({ path }) => path);
  expect(queries).toEqual(['/v2/_catalog?last=page1', '/v2/_catalog?last=page2']);
});

test('lists that go on under the registry’s public name, by cursors of its own, are read to their end', async () => {
  await pushEach('odd/a', 'odd/b');
  await pushImage(sites.primaryTarget('odd/a'), 'v2', image('odd v2', { layers: 1 }));
  for (const [list, first, second] of [
    ['/v2/_catalog', { repositories: ['odd/a'] }, { repositories: ['odd/b'] }],
    ['/v2/odd/a/tags/list', { tags: ['v1'] }, { tags: ['v2'] }],
  ] as const) {
    const page = (query: string, body: object, headers = {}): void =>
      void sites.relay.rules.push({
        match: ({ path }) => path === `${list}?${query}`,
        answer: { status: 200, headers: { ...json, ...headers }, body: JSON.stringify(body) },
      });
    const target = `https://registry.example.com/docker/main${list}?nextToken=x%2f=`;
    page('n=1000', first, { link: `<${target}>; title="a, b"; rel="next"` });
    page('nextToken=x%2f=', second);
  }
  await using it = await startReplicating(sites, { only: 'odd/' });
  for (const [name, tag] of [
    ['odd/a', 'v1'],
    ['odd/a', 'v2'],
    ['odd/b', 'v1'],
  ] as const) {
    await it.until(name, tag, 'synced');
  }
});

test.each([
  ['NAME_UNKNOWN', 404, '{"errors":[{"code":"NAME_UNKNOWN"}]}'],
  ['a text', 404, '404 page not found'],
  ['a refusal', 403, '{"errors":[{"code":"DENIED"}]}'],
])('a catalog that ends in the middle with %s is not all there is, and is walked again', async (what, status, body) => {
  const only = `middle/${status}-${body.length}/`;
  await pushEach(`${only}a`, `${only}b`);
  catalogOf([`${only}a`], [`${only}b`]);
  sites.relay.rules.unshift({
    match: ({ path }) => path === '/v2/_catalog?last=page1',
    answer: { status, headers: { 'content-type': what === 'a text' ? 'text/plain' : 'application/json' }, body },
  });
  await using it = await startReplicating(sites, { only });
  expect(it.replication.walks.progress[0]?.error).toContain('in the middle of the list');
  expect(await it.replication.walks.reconcile()).toMatchObject({
    error: expect.stringContaining('in the middle of the list') as string,
  });
  expect(await it.rows.getFact('backfill.done')).toBeUndefined();
  sites.relay.rules.shift();
  await it.replication.walks.backfill();
  await it.until(`${only}b`, 'v1', 'synced');
});

test('one of some repositories says nothing about how far the one of all is', async () => {
  await using data = await tempDir();
  const options = { only: 'some/', dataDir: data.path };
  await pushEach('some/a', 'some/b', 'some/c');
  const pages = [['some/a'], ['some/b'], ['some/c']];
  catalogOf(...pages);
  const atA = holdAt('some/a');
  {
    await using it = await startReplicating(sites, { ...options, waits: false });
    await waitFor(() => atA.arrived > 0, { what: 'the walk to come to a' });
    // It waits its turn, and is stopped before.
    void it.replication.walks.backfill((name) => name === 'some/c');
  }
  sites.relay.reset();
  catalogOf(...pages);
  await using it = await startReplicating(sites, options);
  await it.replication.walks.backfill((name) => name === 'some/c');
  for (const name of ['some/a', 'some/b', 'some/c']) await it.until(name, 'v1', 'synced');
});

test('a filter marks those that it lets through, and no others', async () => {
  await using it = await startReplicating(sites, { only: 'filter/' });
  await pushEach('filter/a', 'filter/b');
  expect(await it.replication.walks.backfill((name) => name.endsWith('/b'))).toMatchObject({ marked: 1 });
  await it.until('filter/b', 'v1', 'synced');
  expect(await it.row('filter/a', 'v1')).toBeUndefined();
});

test('one after the other: what is asked for twice is done once', async () => {
  await pushEach('twice/a');
  await using it = await startReplicating(sites, { only: 'twice/' });
  sites.relay.reset();
  const gate = holdAt('twice/a');
  const walks = [it.replication.walks.backfill(), it.replication.walks.backfill(), it.replication.walks.reconcile()];
  await waitFor(() => gate.arrived === 1, { what: 'the first walk' });
  gate.open();
  const [first, second, reconciled] = await Promise.all(walks);
  expect(second).toBe(first);
  expect(reconciled!.startedAt).toBeGreaterThanOrEqual(first!.endedAt!);
});

test('a primary without a catalog is walked by the file of its repositories', async () => {
  await pushEach('listed/a', 'listed/b');
  sites.relay.rules.push({
    match: isCatalog,
    answer: { status: 404, headers: { 'content-type': 'text/plain' }, body: '404 page not found\n' },
  });
  await using it = await startReplicating(sites, { only: 'listed/', listed: ['listed/a', 'listed/b', 'other/c'] });
  for (const name of ['listed/a', 'listed/b']) await it.until(name, 'v1', 'synced');
  expect(sites.relay.count(isCatalog)).toBe(0);
  expect(await it.rows.repositories()).toEqual(['listed/a', 'listed/b']);
});

test('with neither catalog nor file what is known is compared, and the log says what is missing', async () => {
  sites.relay.rules.push({
    match: isCatalog,
    answer: { status: 404, headers: { 'content-type': 'text/plain' }, body: '404 page not found\n' },
  });
  await using it = await startReplicating(sites, { only: 'known/', reconcileInterval: 200 });
  await pushEach('known/a');
  await it.mark('known/a', 'v1');
  await it.until('known/a', 'v1', 'synced');
  // Nobody tells of this one.
  const moved = image('known moved', { layers: 1 });
  await pushImage(sites.primaryTarget('known/a'), 'v1', moved);
  await waitFor(async () => (await it.row('known/a', 'v1'))?.localDigest === moved.digest, { what: 'the moved tag' });
  expect(it.rig.log.some(({ message }) => message.includes('GEO_REPOSITORIES_FILE'))).toBe(true);
});

test('a repository that cannot be walked is set aside, tried again, and holds up no other', async () => {
  await pushEach('aside/a', 'aside/b', 'aside/c');
  sites.relay.rules.push({
    match: ({ path }) => path.startsWith('/v2/aside/b/tags/list'),
    answer: { status: 500, headers: json, body: '{}' },
    times: 2,
  });
  await using it = await startReplicating(sites, { only: 'aside/' });
  expect(it.replication.walks.progress[0]).toMatchObject({
    repositories: 3,
    repositoriesDone: 3,
    repositoriesFailed: 1,
  });
  expect(it.replication.walks.progress[0]?.error).toBeUndefined();
  for (const name of ['aside/a', 'aside/c', 'aside/b']) await it.until(name, 'v1', 'synced');
});

test('a primary that is down at the start is walked as soon as it is back', async () => {
  await pushEach('late/a');
  await sites.relay.down();
  await using it = await startReplicating(sites, { only: 'late/', reconcileInterval: 300 });
  expect(it.replication.walks.progress[0]).toMatchObject({ error: expect.stringContaining('primary') as string });
  await sites.relay.up();
  await it.until('late/a', 'v1', 'synced');
});
