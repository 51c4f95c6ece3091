// What is removed from the secondary, and what never is.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PRIORITY, WHOLE_REPOSITORY } from '../../src/replication/rows.ts';
import { image, type Manifest } from '../support/image.ts';
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
const errorBody = (code: string): string => JSON.stringify({ errors: [{ code, message: 'said by the test' }] });

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
      const repository = where.startsWith('the') ? 'taken/paged' : 'taken/unlisted';
      const [old, young] = [image(`${where} 1`, { layers: 1 }), image(`${where} 2`, { layers: 1 })];
      await using it = await startReplicating(sites, { only: repository });
      await pushToBoth(repository, 'v1', old);
      await it.mark(repository, 'v1');
      await it.until(repository, 'v1', 'synced');
      // The tag has moved at the primary, and its event was lost; the old manifest is deleted there.
      await pushImage(sites.primaryTarget(repository), 'v1', young);
      await deleteManifest(sites.primaryTarget(repository), old.digest);
      const list = `/v2/${repository}/tags/list`;
      const body = JSON.stringify({ name: repository, tags: [] });
      const link = where.startsWith('the') ? { link: `<${list}?n=1000&last=a>; rel="next"` } : {};
      sites.localRelay.rules.push({
        match: ({ path }) => path === `${list}?n=1000`,
        answer: { status: 200, headers: { ...json, ...link }, body },
      });
      // Nothing of the tag may go before it is where it belongs.
      let isBroken = false;
      sites.localRelay.rules.push({
        match: ({ method, path, status }) => {
          if (method === 'DELETE' && path.endsWith(old.digest) && status === 0) isBroken ||= !isMoved;
          return false;
        },
      });
      let isMoved = false;
      sites.localRelay.rules.push({
        match: ({ method, path }) => {
          if (method === 'PUT' && path.endsWith('/manifests/v1')) isMoved = true;
          return false;
        },
      });
      await it.mark(repository, old.digest);
      await it.until(repository, old.digest, 'gone');
      expect(isBroken).toBe(false);
      expect(await digestAt(sites.secondaryTarget(repository), 'v1')).toBe(young.digest);
      expect(await digestAt(sites.secondaryTarget(repository), old.digest)).toBeUndefined();
    },
  );
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
