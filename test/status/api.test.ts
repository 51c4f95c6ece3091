import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { RepositoryPage } from '../../src/status/repository-listing.ts';
import type { ListedRow, RowPage } from '../../src/status/row-listing.ts';
import type { VerifyRun } from '../../src/status/snapshot.ts';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { deleteManifest, pushImage } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { waitFor } from '../support/tool.ts';
import { askAdmin, backfilled, failed, order, restartWith, statusOf, whileStopped, type GivenRow } from './admin.ts';

const on = { GEO_REPLICATION: 'on' };
const off = { GEO_REPLICATION: 'off' };
const held: GivenRow['outcome'] = { kind: 'held' };

let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite();
  await pushImage(site.primaryTarget('group/one'), '1.0', image('one'));
  await pushImage(site.primaryTarget('group/two'), '1.0', image('two'));
  await pushImage(site.primaryTarget('other/three'), '1.0', image('three'));
});
afterAll(() => site.close());

async function list(query: string): Promise<RowPage> {
  return (await askAdmin(site, `/api/replication?${query}`)).json as RowPage;
}

const names = ({ rows }: RowPage): string[] => rows.map(({ repository, reference }) => `${repository}:${reference}`);

/** Two pauses for an outage, which a busy machine can bring about, fit in. */
async function synced(count: number): Promise<void> {
  let last: unknown;
  const reached = async (): Promise<boolean> => {
    const { replication, reasons } = await statusOf(site);
    last = { replication, reasons };
    return replication.tags.synced === count;
  };
  await waitFor(reached, { what: `${count} synced`, timeout: 20_000 }).catch(async (error: unknown) => {
    throw new Error(JSON.stringify({ last, rows: await list('') }), { cause: error });
  });
}

test('the status counts rows by state', async () => {
  await restartWith(
    site,
    [
      { reference: 'a', outcome: failed() },
      { reference: 'b', outcome: failed() },
      { reference: 'c', outcome: { kind: 'unsupported', error: 'schema 1' } },
      { reference: 'd', outcome: held },
    ],
    off,
  );
  const { replication, site: name, status, ready } = await statusOf(site);
  expect(replication.tags).toEqual({ pending: 1, syncing: 0, synced: 0, recheck: 0, failed: 2, unsupported: 1 });
  expect(replication.removals).toMatchObject({ held: 1, limit: 10, suspended: false });
  expect(replication.on).toBe(false);
  expect({ name, status, ready }).toEqual({ name: 'test', status: 'degraded', ready: true });
});

test('the status tells what is wrong, also of a registry that hangs, without hanging itself', async () => {
  await statusOf(site);
  site.relay.rules.push({ hang: true });
  onTestFinished(() => site.relay.reset());
  const { status, reasons } = await waitFor(
    async () => {
      const snapshot = await statusOf(site);
      return snapshot.problems[0]?.code === 'unreachable' && snapshot;
    },
    { what: 'the hanging primary to be told of' },
  );
  expect({ status, reasons }).toMatchObject({
    status: 'degraded',
    reasons: { 0: 'the primary registry does not answer' },
  });
});

test('a backfill is begun, and all that the primary has arrives', async () => {
  await restartWith(site, [], on);
  const { status, json } = await order(site, 'backfill');
  expect(status).toBe(202);
  expect(json).toMatchObject({ started: true, run: null });
  await synced(3);
  await waitFor(async () => (await statusOf(site)).replication.runs.backfill?.endedAt, { what: 'the backfill to end' });
  const { runs, bytes } = (await statusOf(site)).replication;
  expect(runs.backfill).toMatchObject({ repositories: 3, repositoriesDone: 3, tags: 3, marked: 3, error: null });
  expect(Date.parse(runs.backfill!.endedAt!)).toBeGreaterThanOrEqual(Date.parse(runs.backfill!.startedAt));
  expect(bytes).toBeGreaterThan(0);
});

test('a backfill of some repositories walks only those', async () => {
  await restartWith(site, [], on);
  const run = await backfilled(site, { repository: 'group/one' });
  expect(run).toMatchObject({ repositories: 1, tags: 1, marked: 1, error: null });
});

test('a backfill that runs is joined, and one of other repositories has to wait', async () => {
  const gate = createGate();
  await restartWith(site, [], on);
  await waitFor(async () => (await statusOf(site)).replication.runs.reconcile?.endedAt, { what: 'the comparison' });
  site.relay.rules.push({ match: ({ path }) => path.includes('_catalog'), gate });
  onTestFinished(() => site.relay.reset());
  expect((await order(site, 'backfill', { repository: 'group/*' })).json).toMatchObject({ started: true });
  expect((await order(site, 'backfill', { repository: 'group/*' })).json).toMatchObject({ started: false });
  const refused = await order(site, 'backfill', { repository: 'other/*' });
  expect(refused.status).toBe(409);
  expect(refused.json).toEqual({ error: 'a backfill of group/* is not done yet: ask again when it has ended' });
  expect((await order(site, 'backfill')).status).toBe(409);
  gate.open();
  await waitFor(async () => (await order(site, 'backfill')).status === 202, { what: 'the walk to end' });
});

test('a backfill where replication is off is refused with what to do', async () => {
  await site.restart(off);
  const { status, json } = await order(site, 'backfill');
  expect(status).toBe(409);
  expect(json).toEqual({
    error: 'replication is off: set GEO_REPLICATION and GEO_STORE to on, and start again',
  });
});

/** Three images in the secondary, all of them synced. */
async function withEverything(): Promise<void> {
  await restartWith(site, [], on);
  await order(site, 'backfill');
  await synced(3);
}

/** Orders a verification, and gives that very one when it has ended. */
async function verified(repositories?: object): Promise<VerifyRun> {
  const before = (await statusOf(site)).replication.runs.verify?.startedAt;
  expect((await order(site, 'verify', repositories)).json).toEqual({ started: true, run: null });
  return waitFor(
    async () => {
      const { verify } = (await statusOf(site)).replication.runs;
      return verify !== null && verify.startedAt !== before && verify.endedAt !== null && verify;
    },
    { what: 'the verification to end', timeout: 20_000 },
  );
}

test('a verification is begun, and tells what it found', async () => {
  await withEverything();
  const counts = { repositories: 3, rows: 3, verified: 3, marked: 0, unknown: 0, damaged: 0, error: null };
  expect(await verified()).toMatchObject(counts);
  expect((await statusOf(site)).replication.verified).toBe(3);
  for (const [name, value] of Object.entries({ rows: 3, verified: 3, damaged: 0, running: 0, failed: 0 })) {
    expect(await site.metric(`replication_run_${name}`, { kind: 'verify' })).toBe(value);
  }
});

test('what was read lately is read again where that is asked for', async () => {
  await withEverything();
  await verified();
  expect((await verified()).bytes).toBe(0);
  const again = await verified({ repository: 'group/*', rehash: true });
  expect(again).toMatchObject({ repositories: 2, verified: 2 });
  expect(again.bytes).toBeGreaterThan(0);
});

test('a verification of all is joined by any, and one of some has to end before another', async () => {
  await withEverything();
  const gate = createGate();
  site.localRelay.rules.push({ match: ({ path }) => path.includes('/blobs/'), gate });
  onTestFinished(() => site.localRelay.reset());
  expect((await order(site, 'verify', { repository: 'group/*' })).json).toMatchObject({ started: true });
  const refused = await order(site, 'verify');
  expect(refused.status).toBe(409);
  expect(refused.json).toEqual({ error: 'a verification of group/* is not done yet: ask again when it has ended' });
  gate.open();
  await waitFor(async () => (await statusOf(site)).replication.runs.verify?.endedAt, { what: 'it to end' });
});

test('a verification where replication is off is refused with what to do', async () => {
  await site.restart(off);
  expect((await order(site, 'verify')).status).toBe(409);
});

test('what failed is tried again at once', async () => {
  await restartWith(site, [{ repository: 'group/one', reference: '1.0', outcome: failed() }], on);
  const { status, json } = await order(site, 'retry');
  expect({ status, json }).toEqual({ status: 202, json: { changed: 1 } });
  await waitFor(async () => (await list('repository=group/one&state=synced')).rows.length, { what: 'the row' });
});

test('only what failed in the repositories named is tried again', async () => {
  const rows = ['group/one', 'group/two', 'other/three'].map((repository) => ({ repository, reference: '1.0' }));
  await restartWith(
    site,
    rows.map((row) => ({ ...row, outcome: failed() })),
    on,
  );
  expect((await order(site, 'retry', { repository: 'group/*' })).json).toEqual({ changed: 2 });
  await synced(2);
  expect(names(await list('state=failed'))).toEqual(['other/three:1.0']);
  expect((await order(site, 'retry', { repository: 'other/three' })).json).toEqual({ changed: 1 });
  await synced(3);
});

test('rows are listed by state and repository', async () => {
  await restartWith(
    site,
    [
      { repository: 'group/one', reference: 'a', outcome: failed('no space left') },
      { repository: 'group/two', reference: 'b', outcome: failed() },
      { repository: 'other/three', reference: 'c', outcome: { kind: 'unsupported', error: 'schema 1' } },
    ],
    off,
  );
  expect(names(await list('state=failed'))).toEqual(['group/one:a', 'group/two:b']);
  expect(names(await list('state=failed,unsupported&repository=other'))).toEqual(['other/three:c']);
  expect(names(await list('repository=group/one'))).toEqual(['group/one:a']);
  expect(names(await list('limit=2'))).toEqual(['group/one:a', 'group/two:b']);
  const { next } = await list('limit=2');
  expect(names(await list(`limit=2&after=${next}`))).toEqual(['other/three:c']);
  const [row] = (await list('state=failed')).rows as [ListedRow];
  expect(row).toMatchObject({ state: 'failed', error: 'no space left', attempts: 1, priority: 'event', held: false });
});

async function repositories(query = ''): Promise<RepositoryPage> {
  return (await askAdmin(site, `/api/replication/repositories?${query}`)).json as RepositoryPage;
}

const repositoryNames = (page: RepositoryPage): string[] => page.repositories.map(({ name }) => name);

test('repositories are listed with their rows by state, and page by page', async () => {
  await restartWith(
    site,
    [
      { repository: 'group/two', reference: 'a', outcome: failed() },
      { repository: 'group/two', reference: 'b', outcome: { kind: 'unsupported', error: 'schema 1' } },
      { repository: 'group/one', reference: 'a', outcome: held },
      { repository: 'other/three', reference: 'a', outcome: failed() },
    ],
    off,
  );
  const nothing = { pending: 0, syncing: 0, synced: 0, recheck: 0, failed: 0, unsupported: 0 };
  const unknown = { verified: 0, syncedAt: null, checksum: null };
  expect(await repositories('repository=group')).toEqual({
    repositories: [
      { name: 'group/one', tags: { ...nothing, pending: 1 }, tagged: 1, ...unknown },
      { name: 'group/two', tags: { ...nothing, failed: 1, unsupported: 1 }, tagged: 2, ...unknown },
    ],
    next: null,
    total: null,
  });
  expect(repositoryNames(await repositories('failed=true'))).toEqual(['group/two', 'other/three']);
  const { next } = await repositories('limit=2');
  expect(next).toBe('group/two');
  expect(await repositories(`limit=2&after=${next}`)).toMatchObject({
    repositories: [{ name: 'other/three' }],
    next: null,
  });
  expect((await askAdmin(site, '/api/replication/repositories?failed=1')).status).toBe(400);
});

test('a synced repository has the checksum that the primary’s tags have', async () => {
  const target = site.primaryTarget('group/tags');
  const tags = { '1.0': image('first'), latest: image('second'), '1.0-alpine': image('first') };
  for (const [tag, pushed] of Object.entries(tags)) await pushImage(target, tag, pushed);
  await restartWith(site, [], on);
  await order(site, 'backfill', { repository: 'group/tags' });
  const repository = await waitFor(
    async () => {
      const [found] = (await repositories('repository=group/tags')).repositories;
      return found?.tags.synced === 3 && found;
    },
    { what: 'the tags' },
  );
  const text = ['1.0', '1.0-alpine', 'latest'].map((tag) => tag + tags[tag as keyof typeof tags].digest).join('');
  expect(repository).toMatchObject({ tagged: 3, checksum: createHash('sha256').update(text).digest('hex') });
  expect(Date.parse(repository.syncedAt!)).toBeGreaterThan(0);
  for (const pushed of [image('first'), image('second')]) await deleteManifest(target, pushed.digest);
});

test('confirmed removals are carried out, those of other repositories stay', async () => {
  for (const repository of ['gone/one', 'gone/two']) {
    await pushImage(site.secondaryTarget(repository), '1.0', image(repository));
  }
  await restartWith(
    site,
    ['gone/one', 'gone/two'].map((repository) => ({ repository, reference: '1.0', outcome: held })),
    on,
  );
  expect(names(await list('held=true'))).toEqual(['gone/one:1.0', 'gone/two:1.0']);
  const { status, json } = await order(site, 'confirm-removals', { repository: 'gone/one' });
  expect({ status, json }).toEqual({ status: 202, json: { confirmed: 1, suspended: false } });
  await waitFor(async () => (await list('repository=gone/one')).rows.length === 0, { what: 'the removal' });
  expect((await site.ask('gone/one/manifests/1.0')).status).toBe(404);
  expect(names(await list('held=true'))).toEqual(['gone/two:1.0']);
  await deleteManifest(site.secondaryTarget('gone/two'), image('gone/two').digest);
});

test('a confirmation before everything was compared with another primary is refused', async () => {
  await whileStopped(
    site,
    async (store) => {
      await store.setFact('removals.suspended', true);
      await store.setFact('removals.compared', false);
    },
    off,
  );
  expect((await statusOf(site)).replication.removals.suspended).toBe(true);
  const { status, json } = await order(site, 'confirm-removals');
  expect(status).toBe(409);
  expect(json).toMatchObject({ error: expect.stringContaining('not everything was compared') });
  expect((await order(site, 'confirm-removals', { repository: 'gone/one' })).status).toBe(409);
  await whileStopped(site, (store) => store.setFact('removals.compared', true), off);
  expect((await order(site, 'confirm-removals')).json).toMatchObject({ suspended: false });
  expect((await statusOf(site)).replication.removals.suspended).toBe(false);
});
