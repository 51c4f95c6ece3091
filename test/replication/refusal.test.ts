// What the secondary refuses: for good, until something else comes, or for now. The registry's own words decide, and stay.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { blob } from '../support/content.ts';
import { artifact, foreignImage, image, index, manifest, type Manifest } from '../support/image.ts';
import { deleteManifest, pushBlob, pushImage, putManifest } from '../support/push.ts';
import type { RelayMatch } from '../support/relay.ts';
import type { RelayRule } from '../support/relay-rule.ts';
import { schema1 } from '../support/schema1.ts';
import { waitFor } from '../support/tool.ts';
import { digestAt, startReplicating, startRigSites, tagsAt, type Replicating, type RigSites } from './rig.ts';

let sites: RigSites;

beforeAll(async () => {
  sites = await startRigSites({ primary: { schema1: true, urlsAllow: ['^https?://'] } });
});
afterAll(() => sites.close());
beforeEach(() => {
  sites.relay.reset();
  sites.localRelay.reset();
});

const DAY = 24 * 3_600_000;
const json = { 'content-type': 'application/json; charset=utf-8' };

/** An answer in a registry's form. */
function refusing(status: number, code: string, message: string, detail?: unknown): NonNullable<RelayRule['answer']> {
  return { status, headers: json, body: JSON.stringify({ errors: [{ code, message, detail }] }) };
}

const putsOf =
  (repository: string, reference = ''): RelayMatch =>
  ({ method, path }) =>
    method === 'PUT' && path.startsWith(`/v2/${repository}/manifests/${reference}`);

const isPing: RelayMatch = ({ path }) => path === '/v2/';

const version = (text: string): RelayRule => ({
  match: isPing,
  setHeaders: { 'gitlab-container-registry-version': text },
});

const unknownType = 'unknown media type: application/vnd.example.config';
// As GitLab's registry with a database answers.
const mediaTypeRefused = refusing(400, 'MANIFEST_INVALID', 'manifest invalid', unknownType);

/** A tag that the secondary refuses for its media type. */
async function unsupported(it: Replicating, repository: string): Promise<void> {
  await pushImage(sites.primaryTarget(repository), 'v1', image(repository, { layers: 1 }));
  sites.localRelay.rules.push({ match: putsOf(repository), answer: mediaTypeRefused });
  await it.mark(repository, 'v1');
  await it.until(repository, 'v1', 'unsupported');
}

describe('for good', () => {
  test('a media type that the registry does not know: unsupported, in its own words, and not tried again', async () => {
    await using it = await startReplicating(sites, { only: 'type/' });
    await unsupported(it, 'type/app');
    const row = await it.row('type/app', 'v1');
    expect(row?.lastError).toContain(`MANIFEST_INVALID, manifest invalid, ${unknownType}`);
    expect(row).toMatchObject({ attempts: 0 });
    expect((await it.rows.counts(it.clock.now())).states).toMatchObject({ unsupported: 1, failed: 0 });
    expect(it.rig.log).toContainEqual(
      expect.objectContaining({
        message: 'the secondary does not take it: clients get it from the primary',
        facts: expect.objectContaining({ reason: row!.lastError }) as unknown,
      }),
    );
    const puts = sites.localRelay.count(putsOf('type/app'));
    await it.replication.walks.reconcile();
    await it.untilIdle();
    expect(sites.localRelay.count(putsOf('type/app'))).toBe(puts);
  });

  test('another manifest on the tag is tried by the next comparison, without an event', async () => {
    await using it = await startReplicating(sites, { only: 'other/' });
    await unsupported(it, 'other/app');
    sites.localRelay.rules.length = 0;
    const other = image('another manifest', { layers: 1 });
    await pushImage(sites.primaryTarget('other/app'), 'v1', other);
    await it.replication.walks.reconcile();
    expect(await it.until('other/app', 'v1', 'synced')).toMatchObject({ localDigest: other.digest });
  });

  test('another version of the secondary is asked again, and so is the same one after a day', async () => {
    await using it = await startReplicating(sites, { only: 'version/' });
    await unsupported(it, 'version/app');
    const tries = (): number => sites.localRelay.count(putsOf('version/app'));
    const after = async (change: () => void): Promise<void> => {
      const before = tries();
      change();
      await it.replication.recheck();
      await waitFor(() => tries() > before, { what: 'another attempt' });
      await it.until('version/app', 'v1', 'unsupported');
    };
    await it.replication.recheck();
    const before = tries();
    await it.replication.recheck();
    await it.untilIdle();
    expect(tries()).toBe(before);
    await after(() => sites.localRelay.rules.push(version('4.40.0-gitlab')));
    await after(() => it.clock.advance(DAY));
    sites.localRelay.rules.length = 0;
    it.clock.advance(DAY);
    await it.replication.recheck();
    await it.until('version/app', 'v1', 'synced');
  });

  test('layers with URLs, and the variable that would allow them is named', async () => {
    await using it = await startReplicating(sites, { only: 'foreign/' });
    await pushImage(sites.primaryTarget('foreign/app'), 'v1', foreignImage(blob(500, 'foreign')));
    await it.mark('foreign/app', 'v1');
    const row = await it.until('foreign/app', 'v1', 'unsupported');
    expect(row?.lastError).toContain('validation.manifests.urls.allow');
    expect(row?.lastError).toContain('MANIFEST_BLOB_UNKNOWN');
  });

  test('an index without manifests, to which a registry says 500', async () => {
    await using it = await startReplicating(sites, { only: 'empty/' });
    await pushImage(sites.primaryTarget('empty/app'), 'v1', index([]));
    sites.localRelay.rules.push({ match: putsOf('empty/app'), answer: refusing(500, 'UNKNOWN', 'unknown error') });
    await it.mark('empty/app', 'v1');
    expect((await it.until('empty/app', 'v1', 'unsupported'))?.lastError).toContain('index without manifests');
  });

  test('what draws 500 again and again while the repository takes other manifests', async () => {
    await using it = await startReplicating(sites, { only: 'again/' });
    await pushImage(sites.primaryTarget('again/app'), 'bad', image('again and again', { layers: 1 }));
    const unknown = refusing(500, 'UNKNOWN', 'unknown error', { reason: 'said by the test' });
    sites.localRelay.rules.push({ match: putsOf('again/app', 'bad'), answer: unknown });
    await it.mark('again/app', 'bad');
    const fail = async (times: number): Promise<void> => {
      for (let nth = 0; nth < times; nth += 1) {
        const { attempts, nextAttempt } = (await it.row('again/app', 'bad'))!;
        it.clock.advance(Math.max(0, nextAttempt - it.clock.now()));
        it.replication.nudge();
        await waitFor(async () => (await it.row('again/app', 'bad'))?.attempts !== attempts, { what: 'an attempt' });
        await it.until('again/app', 'bad', 'failed');
      }
    };
    await it.until('again/app', 'bad', 'failed');
    // A repository that takes nothing may have lost its disk.
    await fail(8);
    expect((await it.row('again/app', 'bad'))?.lastError).toContain('UNKNOWN, unknown error');
    await pushImage(sites.primaryTarget('again/app'), 'good', image('good one', { layers: 1 }));
    await it.mark('again/app', 'good');
    await it.until('again/app', 'good', 'synced');
    it.clock.advance(3_600_000);
    it.replication.nudge();
    expect((await it.until('again/app', 'bad', 'unsupported'))?.lastError).toContain('said by the test');
  });
});

test('a registry that cannot be asked refuses nothing, schema 1 neither', async () => {
  const old = schema1({ name: 'down/app', tag: 'v1', layers: [blob(1_000, 'schema 1')] });
  await using it = await startReplicating(sites, { only: 'down/' });
  const target = sites.primaryTarget('down/app');
  await pushBlob(target, blob(1_000, 'schema 1'));
  await putManifest(target, 'v1', old);
  sites.localRelay.rules.push({ match: putsOf('down/app'), answer: { status: 502 }, times: 1 });
  await it.mark('down/app', 'v1');
  await waitFor(() => sites.localRelay.count(({ status, method }) => method === 'PUT' && status === 502) > 0, {
    what: 'the outage',
  });
  // The next answer is the registry's own.
  const row = await it.until('down/app', 'v1', 'unsupported');
  expect(row?.lastError).toContain('schema 1');
  expect(sites.localRelay.count(putsOf('down/app', 'v1'))).toBeGreaterThan(1);
});

/** The state of a tag that waits, and that it costs nothing meanwhile. */
async function expectWaiting(it: Replicating, repository: string, what: Manifest): Promise<void> {
  const row = await it.until(repository, 'v1', 'waiting');
  expect(row).toMatchObject({ attempts: 0, waitsFor: what.digest });
  expect(row?.lastError).toContain(`waits for ${what.digest}`);
  expect(row!.nextAttempt - it.clock.now()).toBeGreaterThan(1_800_000);
  const counts = await it.rows.counts(it.clock.now());
  expect(counts).toMatchObject({ waiting: 1, states: { failed: 0, unsupported: 0 } });
  expect(counts.oldestEventAt).toBeUndefined();
}

describe('until something else comes', () => {
  test('an index whose child is missing is synced with the child', async () => {
    const [first, second] = [image('child 1', { layers: 1 }), image('child 2', { layers: 1 })];
    const pushed = index([first, second]);
    const target = sites.primaryTarget('child/app');
    await pushImage(target, 'v1', pushed);
    await deleteManifest(target, second.digest);
    await using it = await startReplicating(sites, { only: 'child/' });
    await it.mark('child/app', 'v1');
    await expectWaiting(it, 'child/app', second);
    const tries = sites.localRelay.count(putsOf('child/app', 'v1'));
    await pushImage(target, undefined, second);
    await it.pushed('child/app', second.digest);
    expect(await it.until('child/app', 'v1', 'synced')).toMatchObject({ localDigest: pushed.digest, attempts: 0 });
    expect(sites.localRelay.count(putsOf('child/app', 'v1'))).toBe(tries + 1);
  });

  test('an artifact whose subject is missing is synced with the subject, however that comes', async () => {
    const subject = image('late subject', { layers: 1 });
    const sbom = artifact(subject, 'application/spdx+json', blob('{"sbom":1}'));
    const target = sites.primaryTarget('subject/app');
    await Promise.all(sbom.blobs.map((part) => pushBlob(target, part)));
    await putManifest(target, 'v1', sbom);
    await using it = await startReplicating(sites, { only: 'subject/' });
    const refused = refusing(400, 'MANIFEST_BLOB_UNKNOWN', 'blob unknown to registry', { digest: subject.digest });
    sites.localRelay.rules.push({ match: putsOf('subject/app', 'v1'), answer: refused });
    await it.mark('subject/app', 'v1');
    await expectWaiting(it, 'subject/app', subject);
    sites.localRelay.rules.length = 0;
    await pushImage(target, 'latest', subject);
    await it.pushed('subject/app', 'latest');
    await it.until('subject/app', 'v1', 'synced');
    expect(await digestAt(sites.secondaryTarget('subject/app'), 'v1')).toBe(sbom.digest);
  });

  test('a manifest that an index points at is removed when that is gone', async () => {
    const child = image('referenced', { layers: 1 });
    const parent = index([child]);
    const secondary = sites.secondaryTarget('referenced/app');
    await pushImage(secondary, 'v1', parent);
    await using it = await startReplicating(sites, { only: 'referenced/' });
    // As GitLab's registry with a database answers.
    sites.localRelay.rules.push({
      match: ({ method, path }) => method === 'DELETE' && path.endsWith(child.digest),
      answer: refusing(409, 'MANIFEST_REFERENCED', 'manifest referenced by a manifest list'),
    });
    await it.mark('referenced/app', child.digest);
    const row = await it.until('referenced/app', child.digest, 'waiting');
    expect(row?.lastError).toContain('MANIFEST_REFERENCED, manifest referenced by a manifest list');
    expect(row).toMatchObject({ attempts: 0 });
    sites.localRelay.rules.length = 0;
    await it.mark('referenced/app', parent.digest);
    for (const digest of [parent.digest, child.digest]) await it.until('referenced/app', digest, 'gone');
    expect(await tagsAt(secondary)).toEqual([]);
    expect(await digestAt(secondary, child.digest)).toBeUndefined();
    expect(it.rig.log.filter(({ message }) => message === 'not replicated yet')).toEqual([]);
  });
});

test('a removal that was refused for good says why in the registry’s words', async () => {
  await pushImage(sites.secondaryTarget('denied/app'), undefined, manifest({ layers: [] }));
  const { digest } = manifest({ layers: [] });
  await using it = await startReplicating(sites, { only: 'denied/' });
  sites.localRelay.rules.push({
    match: ({ method }) => method === 'DELETE',
    answer: refusing(403, 'DENIED', 'requested access to the resource is denied', 'immutable'),
  });
  await it.mark('denied/app', digest);
  const row = await it.until('denied/app', digest, 'failed');
  expect(row?.lastError).toContain('DENIED, requested access to the resource is denied, immutable');
});
