// What a worker makes of rows between two real registries.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { PRIORITY } from '../../src/replication/row.ts';
import { blob, type SmallBlob } from '../support/content.ts';
import {
  artifact,
  buildCacheIndex,
  dockerList,
  dockerManifest,
  foreignImage,
  image,
  index,
  manifest,
  mediaTypes,
  type Manifest,
} from '../support/image.ts';
import { pushBlob, pushImage, putManifest } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { schema1 } from '../support/schema1.ts';
import { waitFor } from '../support/tool.ts';
import { createStoppedClock, deleteBlob, digestAt, startReplicating, startRigSites, type RigSites } from './rig.ts';
import { scaled } from '../support/patience.ts';

let sites: RigSites;

beforeAll(async () => {
  sites = await startRigSites({ primary: { schema1: true, urlsAllow: ['^https?://'] } });
});
afterAll(() => sites.close());
beforeEach(() => {
  sites.relay.reset();
  sites.localRelay.reset();
});

const json = { 'content-type': 'application/json; charset=utf-8' };
const unknown = (code: string): string => JSON.stringify({ errors: [{ code, message: 'said by the test' }] });

test(
  'of 50 good tags and a broken one 50 are synced; the broken one fails with its reason, by its back-off',
  async () => {
    const target = sites.primaryTarget('broken/app');
    const layer = blob(3_000, 'shared');
    const tags = Array.from({ length: 50 }, (_, nth) => `v${nth}`);
    for (const tag of tags) {
      await pushImage(target, tag, manifest({ config: blob(`{"tag":"${tag}"}`), layers: [layer] }));
    }
    const bad = image('bad', { layers: 1 });
    await pushImage(target, 'bad', bad);
    const missing = bad.blobs[1]!.digest;
    await deleteBlob(target, missing);

    await using it = await startReplicating(sites, { only: 'broken/', clock: createStoppedClock() });
    await waitFor(async () => (await it.rows.counts(it.clock.now())).states.synced === 50, {
      what: '50 synced rows',
      timeout: 20_000,
    });
    for (const tag of tags) {
      expect(await digestAt(sites.secondaryTarget('broken/app'), tag)).toBe(await digestAt(target, tag));
    }

    const pauses: number[] = [];
    for (let attempt = 1; attempt <= 15; attempt += 1) {
      const failedTimes = async (): Promise<boolean> => {
        const row = await it.row('broken/app', 'bad');
        return row?.state === 'failed' && row.attempts === attempt;
      };
      await waitFor(failedTimes, { what: `attempt ${attempt}` });
      const row = (await it.row('broken/app', 'bad'))!;
      expect(row.lastError).toBe(`blob ${missing}: missing at the primary`);
      pauses.push(row.nextAttempt - it.clock.now());
      // Not a moment before its time; the last is left to the mark below.
      if (attempt === 15) break;
      it.clock.advance(row.nextAttempt - it.clock.now());
      it.replication.nudge();
    }
    for (const [nth, pause] of pauses.entries()) {
      const most = Math.min(3_600_000, 500 * 2 ** nth);
      expect(pause).toBeLessThanOrEqual(most);
      expect(pause).toBeGreaterThanOrEqual(Math.floor(most * 0.75));
    }

    // What was missing comes: the next attempt finds it.
    await pushBlob(target, bad.blobs[1]!);
    await it.mark('broken/app', 'bad');
    expect(await it.until('broken/app', 'bad', 'synced')).toMatchObject({ attempts: 0, primaryDigest: bad.digest });
  },
  scaled(60_000),
);

test('while the secondary takes no writes no attempt is burned and nothing fetched twice; all arrives after', async () => {
  const images = Array.from({ length: 6 }, (_, nth) => image(`maintenance ${nth}`, { layers: 2, size: 20_000 }));
  await using it = await startReplicating(sites, { only: 'maintenance/' });
  await sites.secondary.stop();
  await sites.secondary.start({ readOnly: true });
  for (const [nth, one] of images.entries()) await pushImage(sites.primaryTarget('maintenance/app'), `v${nth}`, one);
  const tags = images.map((_, nth) => `v${nth}`);
  await it.mark('maintenance/app', ...tags);
  const sessions = (): number => sites.localRelay.count(({ method, status }) => method === 'POST' && status === 405);
  await waitFor(() => it.rig.log.filter(({ message }) => message === 'replication pauses').length > 2, {
    what: 'several pauses',
  });
  expect(sessions()).toBeGreaterThan(2);
  for (const tag of tags) {
    expect(await it.row('maintenance/app', tag)).toMatchObject({ attempts: 0 });
    expect((await it.row('maintenance/app', tag))?.lastError).toBeUndefined();
  }
  expect((await it.rows.counts(it.clock.now())).states.failed).toBe(0);

  await sites.secondary.stop();
  await sites.secondary.start({ readOnly: false });
  for (const [nth, tag] of tags.entries()) {
    expect(await it.until('maintenance/app', tag, 'synced')).toMatchObject({
      attempts: 0,
      localDigest: images[nth]!.digest,
    });
  }
  const unique = images.flatMap(({ blobs }) => blobs).reduce((sum, { size }) => sum + size, 0);
  expect(sites.relay.bodyBytes(({ path }) => path.includes('/blobs/'))).toBe(unique);
});

test.each(['relay', 'localRelay'] as const)(
  'while the registry behind the %s is down no attempt is burned',
  async (which) => {
    const repository = `outage/${which.toLowerCase()}`;
    const pushed = image(repository, { layers: 2 });
    await pushImage(sites.primaryTarget(repository), 'v1', pushed);
    await using it = await startReplicating(sites, { only: repository, isOn: false });
    await sites[which].down();
    await it.rows.mark([{ repository, reference: 'v1', priority: PRIORITY.onDemand }], it.clock.now());
    it.replication.nudge();
    await waitFor(() => it.replication.worker.pausedBecause !== undefined, { what: 'a pause' });
    expect(it.replication.worker.pausedBecause).toContain(which === 'relay' ? 'primary' : 'secondary');
    expect(await it.row(repository, 'v1')).toMatchObject({ attempts: 0 });
    await sites[which].up();
    expect(await it.until(repository, 'v1', 'synced')).toMatchObject({ attempts: 0 });
  },
);

test('a primary that wants to be left alone for a while is left alone', async () => {
  const pushed = image('busy', { layers: 1 });
  await pushImage(sites.primaryTarget('busy/app'), 'v1', pushed);
  await using it = await startReplicating(sites, { only: 'busy/', isOn: false });
  sites.relay.rules.push({
    match: ({ path }) => path.includes('/busy/'),
    answer: { status: 429, headers: { ...json, 'retry-after': '120' }, body: unknown('TOOMANYREQUESTS') },
    times: 1,
  });
  await it.rows.mark([{ repository: 'busy/app', reference: 'v1', priority: PRIORITY.onDemand }], it.clock.now());
  it.replication.nudge();
  await waitFor(() => it.replication.worker.pausedUntil !== undefined, { what: 'a pause' });
  expect(it.replication.worker.pausedUntil! - it.clock.now()).toBeGreaterThan(110_000);
  it.clock.advance(120_000);
  it.replication.nudge();
  expect(await it.until('busy/app', 'v1', 'synced')).toMatchObject({ attempts: 0 });
});

test('what the primary names but does not give is a failure, not an endless loop', async () => {
  const pushed = image('named', { layers: 1 });
  await pushImage(sites.primaryTarget('named/app'), undefined, pushed);
  await using it = await startReplicating(sites, { only: 'named/' });
  sites.relay.rules.push({
    match: ({ method, path }) => method === 'GET' && path.includes('/named/app/manifests/'),
    answer: { status: 404, headers: json, body: unknown('MANIFEST_UNKNOWN') },
  });
  await it.mark('named/app', pushed.digest);
  const row = await it.until('named/app', pushed.digest, 'failed');
  expect(row?.lastError).toContain('names it, but does not give it');
});

const foreignLayer = blob(500, 'foreign');
const kinds: readonly [string, () => Manifest][] = [
  ['a Docker image', () => dockerManifest({ layers: [blob(1_000, 'docker')] })],
  ['an OCI index', () => index([image('amd64', { layers: 1 }), image('arm64', { layers: 1 })])],
  ['a Docker list', () => dockerList([dockerManifest({ layers: [blob(1_000, 'list')] })])],
  ['a BuildKit cache', () => buildCacheIndex([blob(2_000, 'cache 1'), blob(2_000, 'cache 2')])],
];

test.each(kinds)('%s is synced with a tag, and another one without', async (kind, make) => {
  const repository = `kinds/${kind.toLowerCase().replaceAll(/\W+/g, '-')}`;
  const pushed = make();
  await using it = await startReplicating(sites, { only: repository });
  await pushImage(sites.primaryTarget(repository), 'v1', pushed);
  await pushImage(sites.primaryTarget(`${repository}-2`), undefined, pushed);
  await it.mark(repository, 'v1');
  await it.mark(`${repository}-2`, pushed.digest);
  await it.until(repository, 'v1', 'synced');
  await it.until(`${repository}-2`, pushed.digest, 'synced');
  expect(await digestAt(sites.secondaryTarget(repository), 'v1')).toBe(pushed.digest);
  expect(await digestAt(sites.secondaryTarget(`${repository}-2`), pushed.digest)).toBe(pushed.digest);
  for (const child of pushed.children) {
    expect(await digestAt(sites.secondaryTarget(`${repository}-2`), child.digest)).toBe(child.digest);
  }
});

test('an artifact brings its subject along', async () => {
  const subject = image('subject', { layers: 1 });
  const sbom = artifact(subject, 'application/spdx+json', blob('{"sbom":1}'));
  await using it = await startReplicating(sites, { only: 'artifact/' });
  await pushImage(sites.primaryTarget('artifact/app'), undefined, subject);
  await pushImage(sites.primaryTarget('artifact/app'), undefined, sbom);
  await it.mark('artifact/app', sbom.digest);
  await it.until('artifact/app', sbom.digest, 'synced');
  expect(await digestAt(sites.secondaryTarget('artifact/app'), subject.digest)).toBe(subject.digest);
});

test('what refers to an image at a primary that lists it comes after the image, once', async () => {
  const subject = image('referred', { layers: 1 });
  const signature = artifact(subject, 'application/vnd.dev.cosign.artifact.sig.v1+json', blob('signed'));
  const onSignature = artifact(signature, 'application/vnd.example.note', blob('noted'));
  const target = sites.primaryTarget('referrers/app');
  await using it = await startReplicating(sites, { only: 'referrers/' });
  await pushImage(target, 'v1', subject);
  await pushImage(target, undefined, signature);
  await pushImage(target, undefined, onSignature);
  const referrers = (of: Manifest, ...manifests: readonly Manifest[]): void =>
    void sites.relay.rules.push({
      match: ({ path }) => path.startsWith(`/v2/referrers/app/referrers/${of.digest}`),
      answer: {
        status: 200,
        headers: { 'content-type': mediaTypes.ociIndex },
        body: JSON.stringify({
          schemaVersion: 2,
          mediaType: mediaTypes.ociIndex,
          manifests: manifests.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
        }),
      },
    });
  referrers(subject, signature);
  referrers(signature, onSignature);
  referrers(onSignature);
  await it.mark('referrers/app', 'v1');
  for (const reference of ['v1', signature.digest, onSignature.digest]) {
    await it.until('referrers/app', reference, 'synced');
  }
  await it.untilIdle();
  expect(await digestAt(sites.secondaryTarget('referrers/app'), onSignature.digest)).toBe(onSignature.digest);
  const generations = (await it.rows.list({ repository: 'referrers/app' })).map(({ generation }) => generation);
  expect(generations).toEqual([1, 1, 1]);
});

const signatureTag = ({ digest }: Manifest): string => `${digest.replace(':', '-')}.sig`;

test('a signature that has its subject in its tag alone brings it along', async () => {
  const subject = image('signed by tag', { layers: 1 });
  const target = sites.primaryTarget('signature/app');
  await pushImage(target, 'v1', subject);
  await pushImage(target, signatureTag(subject), image('signature by tag', { layers: 1 }));
  await using it = await startReplicating(sites, { only: 'signature/' });
  await it.mark('signature/app', signatureTag(subject));
  await it.until('signature/app', signatureTag(subject), 'synced');
  expect(await digestAt(sites.secondaryTarget('signature/app'), subject.digest)).toBe(subject.digest);
});

test('what a client pulls brings its signature along, also where another system replicates', async () => {
  const subject = image('pulled and signed', { layers: 1 });
  const target = sites.primaryTarget('pulled-signature/app');
  await pushImage(target, 'v1', subject);
  await pushImage(target, signatureTag(subject), image('signature of what is pulled', { layers: 1 }));
  await using it = await startReplicating(sites, { only: 'pulled-signature/', isOn: false });
  it.replication.enqueue({ name: 'pulled-signature/app', reference: { tag: 'v1' } });
  await it.until('pulled-signature/app', signatureTag(subject), 'synced');
  await it.untilIdle();
  expect((await it.rows.list({ repository: 'pulled-signature/app' })).length).toBe(2);
});

test('a primary without a list of referrers is asked for it once', async () => {
  const target = sites.primaryTarget('no-referrers/app');
  await using it = await startReplicating(sites, { only: 'no-referrers/' });
  for (const tag of ['v1', 'v2', 'v3']) await pushImage(target, tag, image(`no referrers ${tag}`, { layers: 1 }));
  for (const tag of ['v1', 'v2', 'v3']) {
    await it.mark('no-referrers/app', tag);
    await it.until('no-referrers/app', tag, 'synced');
  }
  expect(sites.relay.count(({ path }) => path.includes('/referrers/sha256:'))).toBe(1);
});

test('a foreign layer that the primary does not have stays where it is', async () => {
  const windows = foreignImage(foreignLayer, { isElsewhere: true });
  await using it = await startReplicating(sites, { only: 'foreign/' });
  await sites.secondary.stop();
  await sites.secondary.start({ urlsAllow: ['^https?://'] });
  await pushImage(sites.primaryTarget('foreign/app'), 'v1', windows);
  await it.mark('foreign/app', 'v1');
  await it.until('foreign/app', 'v1', 'synced');
  // The primary is asked, since it may have it.
  const asked = sites.relay.requests.filter(({ path }) => path.includes(foreignLayer.digest));
  expect(asked.map(({ method, status }) => `${method} ${status}`)).toEqual(['HEAD 404']);
});

test('schema 1 is unsupported, and not tried for ever, where the secondary does not take it; synced where it does', async () => {
  const layers: SmallBlob[] = [blob(1_000, 'schema 1')];
  const old = schema1({ name: 'old/app', tag: 'v1', layers });
  await using it = await startReplicating(sites, { only: 'old/' });
  const target = sites.primaryTarget('old/app');
  await Promise.all(layers.map((layer) => pushBlob(target, layer)));
  await putManifest(target, 'v1', old);
  await it.mark('old/app', 'v1');
  const row = await it.until('old/app', 'v1', 'unsupported');
  expect(row?.lastError).toContain('schema 1');
  it.clock.advance(86_400_000);
  it.replication.nudge();
  await it.untilIdle();
  expect(await it.row('old/app', 'v1')).toEqual(row);

  await sites.secondary.stop();
  await sites.secondary.start({ schema1: true });
  await it.mark('old/app', 'v1');
  expect(await it.until('old/app', 'v1', 'synced')).toMatchObject({ localDigest: old.digest });
});

test('an event during a sync runs it again: what is here in the end is what was pushed last', async () => {
  const [first, second] = [image('moving 1', { layers: 1 }), image('moving 2', { layers: 1 })];
  const target = sites.primaryTarget('moving/app');
  await using it = await startReplicating(sites, { only: 'moving/' });
  await pushImage(target, 'v1', first);
  const gate = createGate();
  // After the last look at the tag, before the row is ended: nothing but the mark can tell of the second push.
  sites.relay.rules.push({ match: ({ path }) => path.includes('/moving/app/referrers/'), gate });
  await it.mark('moving/app', 'v1');
  await waitFor(() => gate.arrived === 1, { what: 'the sync to be about to end' });
  await pushImage(target, 'v1', second);
  await it.mark('moving/app', 'v1');
  gate.open();
  await it.untilIdle();
  expect(await it.row('moving/app', 'v1')).toMatchObject({ state: 'synced', localDigest: second.digest });
  expect(await digestAt(sites.secondaryTarget('moving/app'), 'v1')).toBe(second.digest);
});

test('a repository that is not replicated any more is left as it is', async () => {
  await pushImage(sites.secondaryTarget('excluded/app'), 'v1', image('excluded', { layers: 1 }));
  await using it = await startReplicating(sites, { only: 'included/' });
  await it.mark('excluded/app', 'v1');
  await it.until('excluded/app', 'v1', 'gone');
  expect(await digestAt(sites.secondaryTarget('excluded/app'), 'v1')).toBeDefined();
});

test('where another system replicates, only what clients pulled is stored', async () => {
  const pulled = image('pulled', { layers: 1 });
  const target = sites.primaryTarget('other-system/app');
  for (const tag of ['pulled', 'not-pulled']) await pushImage(target, tag, pulled);
  await using it = await startReplicating(sites, { only: 'other-system/', isOn: false });
  await it.mark('other-system/app', 'not-pulled');
  it.replication.enqueue({ name: 'other-system/app', reference: { tag: 'pulled' } });
  await it.until('other-system/app', 'pulled', 'synced');
  await it.until('other-system/app', 'not-pulled', 'gone');
  expect(await digestAt(sites.secondaryTarget('other-system/app'), 'not-pulled')).toBeUndefined();
});

test('an event that comes before its tag is written is not taken for what the tag meant before', async () => {
  const [old, moved] = [image('event before 1', { layers: 1 }), image('event before 2', { layers: 1 })];
  const target = sites.primaryTarget('early/app');
  await pushImage(target, 'v1', old);
  await using it = await startReplicating(sites, { only: 'early/' });
  await it.mark('early/app', 'v1');
  await it.until('early/app', 'v1', 'synced');
  const looks = (): number => sites.relay.count(({ path }) => path === '/v2/early/app/manifests/v1');
  const before = looks();
  await it.pushed('early/app', 'v1');
  await waitFor(() => looks() > before, { what: 'the first look' });
  await pushImage(target, 'v1', moved);
  const isMoved = async (): Promise<boolean> => (await it.row('early/app', 'v1'))?.localDigest === moved.digest;
  await waitFor(isMoved, { what: 'the new image', timeout: 10_000 });
  expect(await digestAt(sites.secondaryTarget('early/app'), 'v1')).toBe(moved.digest);
});

test('of two pushes in a row the first is not taken for the second, whose event comes before its tag is written', async () => {
  const [old, first, second] = [1, 2, 3].map((nth) => image(`in a row ${nth}`, { layers: 1 }));
  const target = sites.primaryTarget('row/app');
  await pushImage(target, 'v1', old!);
  // However long the pushes take here.
  const clock = createStoppedClock();
  await using it = await startReplicating(sites, { only: 'row/', clock });
  await it.until('row/app', 'v1', 'synced');
  // As events that come early: each finds what was pushed before.
  await it.pushed('row/app', 'v1');
  await pushImage(target, 'v1', first!);
  clock.advance(1);
  await it.pushed('row/app', 'v1');
  const isHere = async (digest: string): Promise<boolean> =>
    (await digestAt(sites.secondaryTarget('row/app'), 'v1')) === digest;
  await waitFor(() => isHere(first!.digest), { what: 'the first image' });
  await it.until('row/app', 'v1', 'pending');
  await pushImage(target, 'v1', second!);
  clock.advance(1_000);
  await waitFor(() => isHere(second!.digest), { what: 'the second image', timeout: 10_000 });
  expect(await it.until('row/app', 'v1', 'synced')).toMatchObject({ localDigest: second!.digest });
});
