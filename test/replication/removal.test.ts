// What is removed from the secondary, and what never is.
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { PRIORITY, WHOLE_REPOSITORY } from '../../src/replication/row.ts';
import { image, type Manifest } from '../support/image.ts';
import { deleteManifest, pushImage } from '../support/push.ts';
import type { RelayMatch } from '../support/relay.ts';
import { createGate } from '../support/relay-rule.ts';
import { tempDir, waitFor } from '../support/tool.ts';
import { deleteBlob, deleteTag, digestAt, startReplicating, startRigSites, tagsAt, type RigSites } from './rig.ts';

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
const errorBody = (code: string): string => JSON.stringify({ errors: [{ code, message: 'said by the test' }] });

// The first DELETE of a digest only asks whether the registry deletes at all.
const isDummyDeletion: RelayMatch = ({ method, path, nth }) =>
  method === 'DELETE' && path.includes('sha256:') && nth === 2;

async function pushToBoth(repository: string, tag: string | undefined, pushed: Manifest): Promise<void> {
  await pushImage(sites.primaryTarget(repository), tag, pushed);
  await pushImage(sites.secondaryTarget(repository), tag, pushed);
}

describe('a tag', () => {
  test('goes without its siblings of the same digest, on a registry that deletes by digest only', async () => {
    const pushed = image('siblings', { layers: 1 });
    for (const tag of ['v1', 'v1.0', 'latest']) await pushToBoth('siblings/app', tag, pushed);
    await using it = await startReplicating(sites, { only: 'siblings/' });
    await it.untilIdle();
    await deleteTag(sites.primaryTarget('siblings/app'), 'v1');
    await it.mark('siblings/app', 'v1');
    await it.until('siblings/app', 'v1', 'gone');
    const secondary = sites.secondaryTarget('siblings/app');
    expect(await tagsAt(secondary)).toEqual(['latest', 'v1.0']);
    for (const tag of ['latest', 'v1.0']) expect(await digestAt(secondary, tag)).toBe(pushed.digest);
    expect(await it.rows.dummies()).toEqual([]);
    expect((await it.rows.counts(it.clock.now())).removalsLastDay).toBe(1);
    for (const digest of it.hidden) expect(await digestAt(secondary, digest)).toBeUndefined();
    expect(it.hidden.size).toBe(1);
  });

  test.each(['NOT_FOUND', 'TAG_EXPIRED'])(
    'of which the primary says %s, with 404, goes at its second word',
    async (code) => {
      const repository = `own-word/${code.toLowerCase()}`;
      const pushed = image(code, { layers: 1 });
      for (const tag of ['v1', 'v2']) await pushToBoth(repository, tag, pushed);
      await using it = await startReplicating(sites, { only: repository });
      await it.untilIdle();
      sites.relay.reset();
      const isThis: RelayMatch = ({ path }) => path.endsWith(`/${repository}/manifests/v1`);
      sites.relay.rules.push({ match: isThis, answer: { status: 404, headers: json, body: errorBody(code) } });
      await it.replication.walks.reconcile();
      await it.until(repository, 'v1', 'gone');
      expect(await tagsAt(sites.secondaryTarget(repository))).toEqual(['v2']);
      // Compared, copied and removed: each had its own word, the last one just before the removal.
      expect(sites.relay.count(isThis)).toBeGreaterThanOrEqual(6);
    },
  );

  test.each([
    ['trouble of its own', { status: 404, headers: json, body: errorBody('UNKNOWN') }],
    ['a refusal', { status: 404, headers: json, body: errorBody('DENIED') }],
    ['a page', { status: 404, headers: { 'content-type': 'text/html' }, body: '<h1>Not Found' }],
  ])('of which the primary says %s, with 404, stays', async (what, answer) => {
    const repository = `no-word/${what.replaceAll(' ', '-')}`;
    const pushed = image(what, { layers: 1 });
    await pushToBoth(repository, 'v1', pushed);
    await using it = await startReplicating(sites, { only: repository });
    await it.untilIdle();
    sites.relay.rules.push({ match: ({ path }) => path.endsWith(`/${repository}/manifests/v1`), answer });
    await it.mark(repository, 'v1');
    await it.until(repository, 'v1', 'failed');
    expect(await digestAt(sites.secondaryTarget(repository), 'v1')).toBe(pushed.digest);
    expect(sites.localRelay.count(({ method }) => method === 'DELETE')).toBe(0);
  });

  test('goes by its name where the registry can do that', async () => {
    await pushImage(sites.secondaryTarget('by-name/app'), 'v1', image('by name', { layers: 1 }));
    await using it = await startReplicating(sites, { only: 'by-name/' });
    const path = '/v2/by-name/app/manifests/v1';
    let isDeleted = false;
    sites.localRelay.rules.push(
      {
        match: (request) => request.method === 'DELETE' && request.path === path && (isDeleted = true),
        answer: { status: 202 },
      },
      {
        match: (request) => request.path === path && isDeleted,
        answer: { status: 404, headers: json, body: errorBody('MANIFEST_UNKNOWN') },
      },
    );
    await it.mark('by-name/app', 'v1');
    await it.until('by-name/app', 'v1', 'gone');
    expect(sites.localRelay.count(({ method }) => method === 'PUT')).toBe(0);
    expect(it.hidden.size).toBe(0);
  });

  test('that is still there after its removal was answered well is not gone', async () => {
    await pushImage(sites.secondaryTarget('liar/app'), 'v1', image('liar', { layers: 1 }));
    await using it = await startReplicating(sites, { only: 'liar/' });
    sites.localRelay.rules.push({ match: ({ method }) => method === 'DELETE', answer: { status: 202 } });
    await it.mark('liar/app', 'v1');
    expect((await it.until('liar/app', 'v1', 'failed'))?.lastError).toContain('still has it after its removal');
  });

  test('that is pushed again after the primary said it was gone stays', async () => {
    const [old, young] = [image('back 1', { layers: 1 }), image('back 2', { layers: 1 })];
    await pushImage(sites.secondaryTarget('back/app'), 'v1', old);
    await using it = await startReplicating(sites, { only: 'back/' });
    const gate = createGate();
    sites.localRelay.rules.push({
      match: ({ method, path }) => method === 'HEAD' && path.endsWith('/v1'),
      gate,
      times: 1,
    });
    await it.mark('back/app', 'v1');
    await waitFor(() => gate.arrived === 1, { what: 'the removal to begin' });
    await pushImage(sites.primaryTarget('back/app'), 'v1', young);
    gate.open();
    expect(await it.until('back/app', 'v1', 'synced')).toMatchObject({ localDigest: young.digest });
    expect(sites.localRelay.count(({ method }) => method === 'DELETE')).toBe(0);
  });

  test('that is pushed again while it is removed comes back, without an event', async () => {
    const [old, young] = [image('during 1', { layers: 1 }), image('during 2', { layers: 1 })];
    await pushImage(sites.secondaryTarget('during/app'), 'v1', old);
    await using it = await startReplicating(sites, { only: 'during/' });
    const gate = createGate();
    sites.localRelay.rules.push({
      match: ({ method, path }) => method === 'DELETE' && path.endsWith('/v1'),
      gate,
      times: 1,
    });
    await it.mark('during/app', 'v1');
    await waitFor(() => gate.arrived === 1, { what: 'the removal' });
    await pushImage(sites.primaryTarget('during/app'), 'v1', young);
    gate.open();
    expect(await it.until('during/app', 'v1', 'synced')).toMatchObject({ localDigest: young.digest });
    expect(await digestAt(sites.secondaryTarget('during/app'), 'v1')).toBe(young.digest);
  });

  test('stands on its manifest still where the registry deletes nothing, and the row says what to do', async () => {
    const pushed = image('keeper', { layers: 1 });
    await pushImage(sites.secondaryTarget('keeper/app'), 'v1', pushed);
    await sites.secondary.stop();
    await sites.secondary.start({ deleteEnabled: false });
    {
      await using it = await startReplicating(sites, { only: 'keeper/' });
      await it.mark('keeper/app', 'v1');
      expect((await it.until('keeper/app', 'v1', 'failed'))?.lastError).toContain('storage.delete.enabled');
      expect(await digestAt(sites.secondaryTarget('keeper/app'), 'v1')).toBe(pushed.digest);
      expect(await it.rows.dummies()).toEqual([]);
    }
    await sites.secondary.stop();
    await sites.secondary.start({ deleteEnabled: true });
  });

  test('waits for the end of maintenance, no attempt burned', async () => {
    await pushImage(sites.secondaryTarget('waiting/app'), 'v1', image('waiting', { layers: 1 }));
    await sites.secondary.stop();
    await sites.secondary.start({ readOnly: true });
    await using it = await startReplicating(sites, { only: 'waiting/' });
    await it.mark('waiting/app', 'v1');
    await waitFor(() => it.replication.worker.pausedBecause === 'the secondary takes no writes', { what: 'a pause' });
    expect(await it.row('waiting/app', 'v1')).toMatchObject({ attempts: 0 });
    await sites.secondary.stop();
    await sites.secondary.start({ readOnly: false });
    await it.until('waiting/app', 'v1', 'gone');
    expect(await tagsAt(sites.secondaryTarget('waiting/app'))).toEqual([]);
  });

  test('that is on neither side is forgotten, and no removal', async () => {
    await using it = await startReplicating(sites, { only: 'neither/' });
    await it.mark('neither/app', 'v1');
    await it.until('neither/app', 'v1', 'gone');
    expect((await it.rows.counts(it.clock.now())).removalsLastDay).toBe(0);
  });
});

describe('a manifest without a tag', () => {
  test('goes when the primary does not have it any more', async () => {
    const pushed = image('untagged', { layers: 1 });
    await pushToBoth('untagged/app', undefined, pushed);
    await using it = await startReplicating(sites, { only: 'untagged/' });
    await it.mark('untagged/app', pushed.digest);
    await it.until('untagged/app', pushed.digest, 'synced');
    await deleteManifest(sites.primaryTarget('untagged/app'), pushed.digest);
    await it.mark('untagged/app', pushed.digest);
    await it.until('untagged/app', pushed.digest, 'gone');
    expect(await digestAt(sites.secondaryTarget('untagged/app'), pushed.digest)).toBeUndefined();
  });

  test.each(['the second page of the list', 'no list at all'])(
    'takes no tag along, though that is on %s',
    async (where) => {
      const isPaged = where.startsWith('the');
      const repository = isPaged ? 'taken/paged' : 'taken/unlisted';
      const [old, young] = [image(`${where} 1`, { layers: 1 }), image(`${where} 2`, { layers: 1 })];
      await using it = await startReplicating(sites, { only: repository });
      await pushToBoth(repository, 'v1', old);
      if (!isPaged) {
        await it.mark(repository, 'v1');
        await it.until(repository, 'v1', 'synced');
      }
      // The tag has moved at the primary, and its event was lost; the old manifest is deleted there.
      await pushImage(sites.primaryTarget(repository), 'v1', young);
      await deleteManifest(sites.primaryTarget(repository), old.digest);
      const list = `/v2/${repository}/tags/list`;
      const link = isPaged ? { link: `<${list}?n=1000&last=a>; rel="next"` } : {};
      sites.localRelay.rules.push({
        match: ({ path }) => path === `${list}?n=1000`,
        answer: { status: 200, headers: { ...json, ...link }, body: JSON.stringify({ name: repository, tags: [] }) },
      });
      await it.mark(repository, old.digest);
      await it.until(repository, old.digest, 'gone');
      // The tag first went where it belongs.
      const asked = sites.localRelay.requests.map(({ method, path }) => `${method} ${path}`);
      const [moved, removed] = [
        `PUT /v2/${repository}/manifests/v1`,
        `DELETE /v2/${repository}/manifests/${old.digest}`,
      ];
      expect(asked.filter((one) => one === moved || one === removed)).toEqual([moved, removed]);
      expect(await digestAt(sites.secondaryTarget(repository), 'v1')).toBe(young.digest);
      expect(await digestAt(sites.secondaryTarget(repository), old.digest)).toBeUndefined();
    },
  );

  test('waits, and asks no more, where the primary gives it by a tag alone', async () => {
    const repository = 'by-tag-alone/app';
    const pushed = image('by tag alone', { layers: 1 });
    await pushToBoth(repository, 'v1', pushed);
    await pushToBoth(repository, 'other', image('another tag', { layers: 1 }));
    await using it = await startReplicating(sites, { only: 'by-tag-alone/' });
    await it.mark(repository, 'v1');
    await it.until(repository, 'v1', 'synced');
    const path = `/v2/${repository}/manifests/${pushed.digest}`;
    const match: RelayMatch = (request) => request.path === path;
    sites.relay.rules.push({ match, answer: { status: 404, headers: json, body: errorBody('MANIFEST_UNKNOWN') } });
    await it.mark(repository, pushed.digest);
    await it.until(repository, pushed.digest, 'waiting');
    for (let times = 0; times < 3; times += 1) {
      await it.untilIdle();
      await it.mark(repository, 'other');
      await it.until(repository, 'other', 'synced');
    }
    expect(await it.row(repository, pushed.digest)).toMatchObject({ claim: 1, waitsFor: 'v1' });
    expect(await digestAt(sites.secondaryTarget(repository), 'v1')).toBe(pushed.digest);
  });

  test('gives back the tag that was put on it while it was deleted', async () => {
    const pushed = image('late tag', { layers: 1 });
    const repository = 'late-tag/app';
    await pushImage(sites.secondaryTarget(repository), undefined, pushed);
    await using it = await startReplicating(sites, { only: 'late-tag/' });
    const gate = createGate();
    sites.localRelay.rules.push({ match: ({ method }) => method === 'DELETE', gate, times: 1 });
    await it.mark(repository, pushed.digest);
    await waitFor(() => gate.arrived === 1, { what: 'the deletion' });
    await pushImage(sites.primaryTarget(repository), 'v2', pushed);
    await it.mark(repository, 'v2');
    const { generation } = (await it.until(repository, 'v2', 'synced'))!;
    gate.open();
    await waitFor(async () => (await it.row(repository, 'v2'))!.generation > generation, { what: 'v2 to be marked' });
    await it.untilIdle();
    for (const reference of ['v2', pushed.digest]) {
      expect(await it.row(repository, reference)).toMatchObject({ state: 'synced' });
      expect(await digestAt(sites.secondaryTarget(repository), reference)).toBe(pushed.digest);
    }
  });
});

describe('the event of a deletion that does not tell what it was', () => {
  test('of a blob: the row goes, nothing fails, and the blob stays', async () => {
    const pushed = image('blob deleted', { layers: 1 });
    const layer = pushed.blobs[1]!.digest;
    await pushToBoth('blob/app', 'v1', pushed);
    await using it = await startReplicating(sites, { only: 'blob/' });
    await deleteBlob(sites.primaryTarget('blob/app'), layer);
    await it.mark('blob/app', layer);
    await it.until('blob/app', layer, 'gone');
    expect(it.rig.log.filter(({ message }) => message === 'not replicated yet')).toEqual([]);
    expect(sites.localRelay.count(({ method }) => method === 'DELETE')).toBe(0);
    expect((await it.rows.counts(it.clock.now())).removalsLastDay).toBe(0);
  });

  test('of a blob that the primary has again', async () => {
    const pushed = image('blob pushed again', { layers: 1 });
    await pushToBoth('blob-again/app', 'v1', pushed);
    await using it = await startReplicating(sites, { only: 'blob-again/' });
    const layer = pushed.blobs[1]!.digest;
    await it.mark('blob-again/app', layer);
    await it.until('blob-again/app', layer, 'gone');
    expect(it.rig.log.filter(({ message }) => message === 'not replicated yet')).toEqual([]);
  });

  test('of a manifest that no row knows: it is removed', async () => {
    const pushed = image('unknown manifest', { layers: 1 });
    await pushImage(sites.secondaryTarget('rowless/app'), undefined, pushed);
    await using it = await startReplicating(sites, { only: 'rowless/' });
    await it.mark('rowless/app', pushed.digest);
    await it.until('rowless/app', pushed.digest, 'gone');
    expect(await digestAt(sites.secondaryTarget('rowless/app'), pushed.digest)).toBeUndefined();
  });
});

/** Ends a run between the PUT of a dummy and its DELETE; gives the dummy's digest. */
async function interrupted(repository: string, dataDir: string): Promise<string> {
  await pushImage(sites.secondaryTarget(repository), 'v1', image(repository, { layers: 1 }));
  const gate = createGate();
  onTestFinished(() => gate.open());
  sites.localRelay.rules.push({ match: isDummyDeletion, gate });
  const it = await startReplicating(sites, { only: repository, dataDir });
  await it.mark(repository, 'v1');
  await waitFor(() => gate.arrived === 1, { what: 'the DELETE of the dummy' });
  await it.replication.close(0);
  await it[Symbol.asyncDispose]();
  sites.localRelay.reset();
  return (await digestAt(sites.secondaryTarget(repository), 'v1'))!;
}

describe('a removal that was begun', () => {
  test('is ended with its own dummy, when the deletion of that failed', async () => {
    await pushImage(sites.secondaryTarget('begun/app'), 'v1', image('begun', { layers: 1 }));
    await using it = await startReplicating(sites, { only: 'begun/' });
    sites.localRelay.rules.push({
      match: isDummyDeletion,
      answer: { status: 500, headers: json, body: errorBody('UNKNOWN') },
      times: 1,
    });
    await it.mark('begun/app', 'v1');
    await it.until('begun/app', 'v1', 'gone');
    expect(sites.localRelay.count(({ method, path }) => method === 'PUT' && path.includes('/manifests/'))).toBe(1);
    expect(await it.rows.dummies()).toEqual([]);
    expect(await tagsAt(sites.secondaryTarget('begun/app'))).toEqual([]);
    expect((await it.rows.counts(it.clock.now())).removalsLastDay).toBe(1);
  });

  test('is ended by the next start, which never serves its dummy, as soon as the secondary can', async () => {
    await using data = await tempDir();
    const repository = 'interrupted/app';
    const dummy = await interrupted(repository, data.path);
    sites.localRelay.rules.push({
      match: ({ method }) => method === 'DELETE',
      answer: { status: 500, headers: json, body: errorBody('UNKNOWN') },
      times: 2,
    });
    await using it = await startReplicating(sites, { only: repository, dataDir: data.path, reconcileInterval: 100 });
    expect([...it.hidden][0]).toBe(dummy);
    await waitFor(async () => (await it.rows.dummies()).length === 0, { what: 'the end of the removal' });
    await it.until(repository, 'v1', 'gone');
    expect(await tagsAt(sites.secondaryTarget(repository))).toEqual([]);
    expect(await digestAt(sites.secondaryTarget(repository), dummy)).toBeUndefined();
  });

  test('is not ended where removals are off by now, but its dummy is not served', async () => {
    await using data = await tempDir();
    const repository = 'switched-off/app';
    const dummy = await interrupted(repository, data.path);
    await using it = await startReplicating(sites, { only: repository, dataDir: data.path, isOn: false });
    expect([...it.hidden]).toEqual([dummy]);
    await it.untilIdle();
    expect(sites.localRelay.count(({ method }) => method === 'DELETE')).toBe(0);
    expect(await digestAt(sites.secondaryTarget(repository), 'v1')).toBe(dummy);
  });
});

describe('a whole repository', () => {
  test('that was removed at the primary is removed, tags and untagged manifests', async () => {
    const [tagged, untagged] = [image('whole 1', { layers: 1 }), image('whole 2', { layers: 1 })];
    for (const tag of ['v1', 'v2', 'v3']) await pushToBoth('whole/app', tag, tagged);
    await pushToBoth('whole/app', undefined, untagged);
    await pushToBoth('whole/other', 'v1', tagged);
    await using it = await startReplicating(sites, { only: 'whole/' });
    await it.mark('whole/app', untagged.digest);
    await it.untilIdle();
    for (const { digest } of [tagged, untagged]) await deleteManifest(sites.primaryTarget('whole/app'), digest);
    await it.mark('whole/app', WHOLE_REPOSITORY);
    await waitFor(async () => (await it.rows.list({ repository: 'whole/app' })).length === 0, { what: 'all to go' });
    expect(await tagsAt(sites.secondaryTarget('whole/app'))).toEqual([]);
    expect(await digestAt(sites.secondaryTarget('whole/app'), untagged.digest)).toBeUndefined();
    expect(await tagsAt(sites.secondaryTarget('whole/other'))).toEqual(['v1']);
  });

  test('that is still there keeps everything', async () => {
    for (const tag of ['v1', 'v2']) await pushToBoth('kept/app', tag, image(`kept ${tag}`, { layers: 1 }));
    await using it = await startReplicating(sites, { only: 'kept/' });
    await it.untilIdle();
    await it.mark('kept/app', WHOLE_REPOSITORY);
    await it.until('kept/app', WHOLE_REPOSITORY, 'gone');
    await it.untilIdle();
    expect(await tagsAt(sites.secondaryTarget('kept/app'))).toEqual(['v1', 'v2']);
  });
});

describe('nothing is removed', () => {
  const repository = 'guarded/app';
  const tags = Array.from({ length: 15 }, (_, nth) => `v${nth}`);
  const allTags = tags.toSorted();

  beforeAll(async () => {
    for (const tag of tags) await pushToBoth(repository, tag, image(`guarded ${tag}`, { layers: 1 }));
  });

  async function markEverything(it: Awaited<ReturnType<typeof startReplicating>>): Promise<void> {
    await it.mark(repository, WHOLE_REPOSITORY, ...tags);
    await it.replication.walks.reconcile();
  }

  test('since lists are empty', async () => {
    await using it = await startReplicating(sites, { only: 'guarded/' });
    await it.untilIdle();
    const empty = { status: 200, headers: json };
    sites.relay.rules.push(
      { match: ({ path }) => path.includes('/_catalog'), answer: { ...empty, body: '{"repositories":[]}' } },
      { match: ({ path }) => path.includes('/tags/list'), answer: { ...empty, body: '{"name":"x","tags":null}' } },
    );
    await markEverything(it);
    await it.untilIdle();
    expect(await tagsAt(sites.secondaryTarget(repository))).toEqual(allTags);
    expect((await it.rows.counts(it.clock.now())).states.synced).toBe(15);
  });

  test.each([
    [
      'an HTML 404 to everything',
      { status: 404, headers: { 'content-type': 'text/html' }, body: '<h1>Not Found</h1>' },
    ],
    ['a bare 404 to everything', { status: 404 }],
    ['a login page to everything', { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Login</h1>' }],
    ['403 to everything', { status: 403, headers: json, body: errorBody('DENIED') }],
    ['500 to everything', { status: 500, headers: json, body: errorBody('UNKNOWN') }],
  ])('since the primary answers %s', async (_what, answer) => {
    await using it = await startReplicating(sites, { only: 'guarded/' });
    await it.untilIdle();
    sites.relay.rules.push({ answer });
    await markEverything(it);
    await waitFor(
      async () =>
        it.replication.worker.pausedBecause !== undefined || (await it.rows.counts(it.clock.now())).states.failed >= 15,
      { what: 'a pause, or all to fail' },
    );
    expect(sites.localRelay.count(({ method }) => method === 'DELETE' || method === 'PUT')).toBe(0);
    expect(await tagsAt(sites.secondaryTarget(repository))).toEqual(allTags);
  });

  test('where removals are off', async () => {
    await using it = await startReplicating(sites, { only: 'guarded/', isOn: false });
    sites.relay.rules.push({
      match: ({ path }) => path.includes('/manifests/'),
      answer: { status: 404, headers: json, body: errorBody('MANIFEST_UNKNOWN') },
    });
    const marks = tags.map((reference) => ({ repository, reference, priority: PRIORITY.onDemand }));
    await it.rows.mark(marks, it.clock.now());
    it.replication.nudge();
    await it.untilIdle();
    expect(await it.rows.list({ repository })).toEqual([]);
    expect(await tagsAt(sites.secondaryTarget(repository))).toEqual(allTags);
    expect(sites.localRelay.count(({ method }) => method !== 'GET' && method !== 'HEAD')).toBe(0);
  });

  test('of what is not replicated', async () => {
    await using it = await startReplicating(sites, { only: 'something-else/' });
    await it.mark(repository, ...tags);
    await it.untilIdle();
    expect(await tagsAt(sites.secondaryTarget(repository))).toEqual(allTags);
    expect(sites.localRelay.count(({ method }) => method !== 'GET')).toBe(0);
  });
});
