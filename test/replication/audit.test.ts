// Verification beyond damaged files: tags, children, descriptors that lie, a secondary that is away, and its own times.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { digestOf as parsed } from '../fill/rig.ts';
import { Inspector } from '../../src/replication/inspect.ts';
import { createRate } from '../../src/lib/rate.ts';
import { blob } from '../support/content.ts';
import { artifact, buildCacheIndex, image, index, manifest, type Manifest } from '../support/image.ts';
import { deleteManifest, pushBlob, pushImage, putManifest } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { tempDir, waitFor } from '../support/tool.ts';
import { deleteTag, digestAt, startReplicating, startRigSites, type Replicating, type RigSites } from './rig.ts';

const DAY = 24 * 3_600_000;

let sites: RigSites;
beforeAll(async () => {
  sites = await startRigSites();
});
afterEach(async () => {
  await sites.localRelay.up();
  sites.relay.reset();
  sites.localRelay.reset();
});
afterAll(() => sites.close());

let count = 0;

/** Replication of a repository of its own, in which these tags are synced. */
async function synced(tags: Readonly<Record<string, Manifest>>): Promise<{ name: string; site: Replicating }> {
  const name = `audit${(count += 1)}/app`;
  for (const [tag, pushed] of Object.entries(tags)) await pushImage(sites.primaryTarget(name), tag, pushed);
  const site = await startReplicating(sites, { only: name });
  for (const tag of Object.keys(tags)) await site.until(name, tag, 'synced');
  return { name, site };
}

describe('what is not as it should be is brought again', () => {
  test('a child that is gone', async () => {
    const [first, second] = [image('first child'), image('second child')];
    const { name, site } = await synced({ v1: index([first, second]) });
    await using _ = site;
    await deleteManifest(sites.secondaryTarget(name), second.digest);
    expect(await site.replication.verification.run()).toMatchObject({ verified: 0, marked: 1 });
    await site.until(name, 'v1', 'synced');
    expect(await digestAt(sites.secondaryTarget(name), second.digest)).toBe(second.digest);
    expect(await site.replication.verification.run()).toMatchObject({ verified: 1, marked: 0 });
  });

  test('a tag that was moved behind our back', async () => {
    const [right, wrong] = [image('right'), image('wrong')];
    const { name, site } = await synced({ v1: right });
    await using _ = site;
    await pushImage(sites.secondaryTarget(name), 'v1', wrong);
    expect(await site.replication.verification.run()).toMatchObject({ verified: 0, marked: 1, damaged: 0 });
    await site.until(name, 'v1', 'synced');
    expect(await digestAt(sites.secondaryTarget(name), 'v1')).toBe(right.digest);
  });

  test('a tag that was removed behind our back; its sibling is verified', async () => {
    const [goes, stays] = [image('goes'), image('stays')];
    const { name, site } = await synced({ goes, stays });
    await using _ = site;
    await deleteTag(sites.secondaryTarget(name), 'goes');
    expect(await site.replication.verification.run()).toMatchObject({ rows: 2, verified: 1, marked: 1 });
    await site.until(name, 'goes', 'synced');
    expect(await digestAt(sites.secondaryTarget(name), 'goes')).toBe(goes.digest);
  });
});

test('indexes, artifacts with their subject and caches are verified as they are', async () => {
  const subject = image('subject');
  const { site } = await synced({
    index: index([image('amd64'), image('arm64')]),
    signature: artifact(subject, 'application/vnd.example.signature', blob('signed')),
    lonely: artifact(image('never pushed'), 'application/vnd.example.signature', blob('signed, too')),
    cache: buildCacheIndex([blob(2_000, 'cached')]),
  });
  await using _ = site;
  expect(await site.replication.verification.run()).toMatchObject({ rows: 4, verified: 4, marked: 0, unknown: 0 });
});

test('a manifest that lies about a size makes no blob damaged', async () => {
  const layer = blob(5_000, 'lied about');
  const lie = manifest({ layers: [{ ...layer, size: 4_999 }] });
  const name = `audit${(count += 1)}/app`;
  for (const part of [layer, lie.blobs[0]!]) await pushBlob(sites.primaryTarget(name), part);
  await putManifest(sites.primaryTarget(name), 'v1', lie);
  await using site = await startReplicating(sites, { only: name });
  await site.until(name, 'v1', 'synced');
  expect(await site.replication.verification.run()).toMatchObject({ verified: 1, marked: 0, damaged: 0 });
  expect(site.damaged.size).toBe(0);
});

test('a layer of many repositories is read once', async () => {
  const shared = blob(100_000, 'shared');
  const { name, site } = await synced({ v1: manifest({ layers: [shared] }) });
  await using _ = site;
  const other = manifest({ layers: [shared, blob(1_000, 'its own')] });
  await pushImage(sites.primaryTarget(`${name}/other`), 'v1', other);
  await site.mark(`${name}/other`, 'v1');
  await site.until(`${name}/other`, 'v1', 'synced');
  const { bytes } = await site.replication.verification.run();
  expect(bytes).toBeGreaterThan(100_000);
  expect(bytes).toBeLessThan(110_000);
  expect(await site.replication.verification.run()).toMatchObject({ verified: 2, bytes: 0 });
});

test('a layer that one repository lost while it was read is not missed in another', async () => {
  const shared = blob(10_000, 'lost in one');
  const { name, site } = await synced({ v1: manifest({ layers: [shared] }) });
  await using _ = site;
  const other = `${name}/other`;
  await pushImage(sites.primaryTarget(other), 'v1', manifest({ layers: [shared, blob(1_000, 'of the other')] }));
  await site.mark(other, 'v1');
  await site.until(other, 'v1', 'synced');
  const gate = createGate();
  const lost = {
    status: 404,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ errors: [{ code: 'BLOB_UNKNOWN', message: 'said by the test' }] }),
  };
  let reads = 0;
  sites.localRelay.rules.push(
    {
      match: ({ method, path, headers }) => {
        const isRead = method === 'GET' && path === `/v2/${name}/blobs/${shared.digest}` && !headers.range;
        if (isRead) {
          reads += 1;
          gate.open();
        }
        return isRead;
      },
      answer: lost,
    },
    { match: ({ path }) => path.startsWith(`/v2/${other}/manifests/`), gate },
  );
  expect(await site.replication.verification.run()).toMatchObject({ verified: 1, marked: 1 });
  expect(reads).toBeGreaterThan(0);
  expect((await site.row(other, 'v1'))?.verifiedAt).toBeDefined();
});

test('only the repositories that are asked for', async () => {
  const { name, site } = await synced({ v1: image('asked') });
  await using _ = site;
  expect(await site.replication.verification.run({ wanted: (asked) => asked !== name })).toMatchObject({
    rows: 0,
    blobs: 0,
  });
  expect(await site.replication.verification.run({ wanted: (asked) => asked === name })).toMatchObject({
    rows: 1,
    verified: 1,
  });
});

test('a secondary that goes away in the middle ends it, and nothing is damaged for that', async () => {
  const pushed = image('away');
  const { name, site } = await synced({ v1: pushed });
  await using _ = site;
  const gate = createGate();
  const [, middle] = pushed.blobs;
  sites.localRelay.rules.push({ match: ({ path }) => path.endsWith(middle!.digest), gate });
  const run = site.replication.verification.run();
  await waitFor(() => gate.arrived > 0, { what: 'a look at the blob' });
  await sites.localRelay.down();
  gate.open();
  expect(await run).toMatchObject({ error: expect.any(String), verified: 0, marked: 0, damaged: 0 });
  expect(site.damaged.size).toBe(0);
  expect((await site.row(name, 'v1'))?.state).toBe('synced');
});

test('one blob of which the secondary says nothing sensible does not keep others from being verified', async () => {
  const [odd, fine] = [image('odd'), image('fine')];
  const { site } = await synced({ odd, fine });
  await using _ = site;
  const { digest } = odd.blobs[1]!;
  sites.localRelay.rules.push({ match: ({ path }) => path.endsWith(digest), answer: { status: 500 } });
  const done = await site.replication.verification.run();
  expect(done).toMatchObject({ verified: 1, unknown: 1, marked: 0, damaged: 0 });
  expect(done.error).toBeUndefined();
});

test('a body that broke off is read again', async () => {
  const pushed = image('cut');
  const { site } = await synced({ v1: pushed });
  await using _ = site;
  const { digest } = pushed.blobs[1]!;
  sites.localRelay.rules.push({
    match: ({ method, path, headers }) => method === 'GET' && path.endsWith(digest) && headers.range === undefined,
    cutAfter: 100,
    times: 1,
  });
  expect(await site.replication.verification.run()).toMatchObject({ verified: 1, damaged: 0 });
});

test('what is damaged is told again after a restart', async () => {
  await using data = await tempDir();
  const name = `audit${(count += 1)}/app`;
  const pushed = image(name);
  await pushImage(sites.primaryTarget(name), 'v1', pushed);
  const digest = parsed(pushed.blobs[1]!);
  {
    await using site = await startReplicating(sites, { only: name, dataDir: data.path });
    await site.until(name, 'v1', 'synced');
    await site.rows.putBlob({ repository: name, digest, verifiedAt: 1, isDamaged: true });
  }
  await using site = await startReplicating(sites, { only: name, dataDir: data.path });
  expect([...site.damaged]).toEqual([digest]);
});

test('blobs that nothing leads to any more are forgotten', async () => {
  const { name, site } = await synced({ v1: image('kept') });
  await using _ = site;
  const digest = parsed(blob(1_000, 'an orphan'));
  await site.rows.putBlob({ repository: name, digest, verifiedAt: site.clock.now(), isDamaged: false });
  await site.replication.verification.run();
  expect(await site.rows.findBlob(name, digest)).toBeDefined();
  site.clock.advance(31 * DAY);
  await site.replication.verification.run();
  expect(await site.rows.findBlob(name, digest)).toBeUndefined();
});

test.each([
  ['its interval has passed since the last time', DAY],
  ['the last time lies ahead, since the clock was put back', -DAY],
])('it runs by itself when %s, also over a restart', async (_when, later) => {
  await using data = await tempDir();
  const name = `audit${(count += 1)}/app`;
  await pushImage(sites.primaryTarget(name), 'v1', image(name));
  const options = { only: name, dataDir: data.path, verifyInterval: DAY };
  let now = 0;
  {
    await using site = await startReplicating(sites, options);
    await site.until(name, 'v1', 'synced');
    expect(site.replication.verification.progress).toBeUndefined();
    now = later;
  }
  const clock = { now: () => Date.now() + now, advance: () => undefined };
  await using site = await startReplicating(sites, { ...options, clock });
  await waitFor(() => site.replication.verification.progress?.endedAt, { what: 'the verification' });
  expect(site.replication.verification.progress).toMatchObject({ verified: 1 });
});

test('blobs are read at the rate', async () => {
  const pushed = manifest({ layers: [blob(1_000_000, 'at a rate')] });
  const { name, site } = await synced({ v1: pushed });
  await using _ = site;
  let now = 0;
  const rate = createRate(100_000, { clock: () => now, sleep: async (time) => void (now += time) });
  const inspector = new Inspector(site.rig.secondary, rate);
  expect(await inspector.read(name, parsed(pushed.blobs[1]!))).toMatchObject({ kind: 'whole' });
  expect(now).toBeCloseTo(10_000, 3);
});

test('a reading that waits for its rate ends when it is told to', async () => {
  const pushed = manifest({ layers: [blob(1_000_000, 'aborted')] });
  const { name, site } = await synced({ v1: pushed });
  await using _ = site;
  const abort = new AbortController();
  const rate = createRate(1, {
    clock: () => 0,
    sleep: async (_time, signal) => {
      abort.abort(new Error('no more'));
      signal?.throwIfAborted();
    },
  });
  const inspector = new Inspector(site.rig.secondary, rate);
  const reading = inspector.read(name, parsed(pushed.blobs[1]!), { signal: abort.signal });
  await expect(reading).rejects.toThrow('no more');
});
