// R3, R5: a copy in trouble: blobs that are lost, secondaries that refuse, and what cannot be held at all.
import { rm } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CopyFailed, SecondaryReadOnly } from '../../src/replication/copy-failure.ts';
import { bodyOf } from '../fill/download.ts';
import { createRig, startRigSites, type RigSites } from '../fill/rig.ts';
import { blob, digestOf } from '../support/content.ts';
import { image, index, manifest } from '../support/image.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { schema1 } from '../support/schema1.ts';
import { waitFor } from '../support/tool.ts';
import { copyOf, digestHere, isBlobGet, isManifestPut, puts } from './copying.ts';

let sites: RigSites;

beforeAll(async () => {
  sites = await startRigSites({ primary: { schema1: true } });
});
afterEach(async () => {
  await Promise.all([sites.relay.up(), sites.localRelay.up()]);
  sites.relay.reset();
  sites.localRelay.reset();
});
afterAll(() => sites.close());

const isPost: RelayMatch = ({ method }) => method === 'POST';
const isThief: RelayMatch = ({ path }) => path.startsWith('/v2/link/thief/manifests/');

describe('a blob', () => {
  test('whose data file is gone in the secondary is brought again, which heals it', async () => {
    await using rig = await createRig(sites, { filler: { linger: 0 } });
    const pushed = image('healed');
    await pushImage(sites.primaryTarget('heal/app'), 'v1', pushed);
    await copyOf(rig)('heal/app', { tag: 'v1' });
    const [lost] = pushed.blobs;
    await rm(sites.secondary.blobFile(lost!.digest));
    await waitFor(() => rig.spool.used === 0, { what: 'the spool to be let go' });
    sites.relay.reset();
    expect(await copyOf(rig)('heal/app', { tag: 'v1' })).toMatchObject({ kind: 'synced', bytes: lost!.size });
    expect(sites.relay.count(bodyOf(lost!))).toBe(1);
    const again = await fetch(`${sites.secondary.url}/v2/heal/app/blobs/${lost!.digest}`);
    expect(digestOf(Buffer.from(await again.arrayBuffer()))).toBe(lost!.digest);
  });

  test('of which HEAD speaks but whose last byte cannot be read is brought again', async () => {
    await using rig = await createRig(sites);
    const pushed = image('last byte', { layers: 1 });
    await pushImage(sites.primaryTarget('heal/last'), 'v1', pushed);
    await pushImage(sites.secondaryTarget('heal/last'), 'v1', pushed);
    const [, layer] = pushed.blobs;
    const isLastByte: RelayMatch = (request) => bodyOf(layer!)(request) && request.headers.range === 'bytes=-1';
    sites.localRelay.rules.push({ match: isLastByte, cutAfter: 0 });
    await copyOf(rig)('heal/last', { tag: 'v1' });
    expect(sites.localRelay.count(({ method, path }) => method === 'HEAD' && path.includes(layer!.digest))).toBe(1);
    expect(sites.relay.count(bodyOf(layer!))).toBe(1);
  });

  test('that was just brought under another repository is linked, not brought again', async () => {
    await using rig = await createRig(sites);
    const layer = blob(50_000, 'shared by two');
    for (const name of ['link/one', 'link/two']) {
      await pushImage(sites.primaryTarget(name), 'v1', manifest({ layers: [layer] }));
      expect(await copyOf(rig)(name, { tag: 'v1' })).toMatchObject({ kind: 'synced' });
    }
    expect(sites.relay.count(bodyOf(layer))).toBe(1);
    const mounts = sites.localRelay.requests.filter(({ path }) => path.includes(`mount=${layer.digest}`));
    expect(mounts).toMatchObject([{ status: 201 }]);
    // The primary was asked whether it has it there, too.
    const isAsked: RelayMatch = ({ method, path }) =>
      method === 'HEAD' && path === `/v2/link/two/blobs/${layer.digest}`;
    expect(sites.relay.count(isAsked)).toBe(1);
  });

  test('that the primary does not have under this repository is not linked from another', async () => {
    await using rig = await createRig(sites);
    const layer = blob(50_000, 'not shared');
    await pushImage(sites.primaryTarget('link/owner'), 'v1', manifest({ layers: [layer] }));
    await copyOf(rig)('link/owner', { tag: 'v1' });
    // A manifest that speaks of it, from a primary that has lost the link.
    const thief = manifest({ layers: [layer] });
    const headers = { 'content-type': thief.mediaType, 'docker-content-digest': thief.digest };
    sites.relay.rules.push({ match: isThief, answer: { status: 200, headers, body: thief.bytes } });
    for (const part of thief.blobs) if (part !== layer) await pushBlob(sites.primaryTarget('link/thief'), part);
    await expect(copyOf(rig)('link/thief', { tag: 'v1' })).rejects.toThrow(`blob ${layer.digest}: missing`);
    expect(
      sites.localRelay.count(({ path }) => path.includes('link/thief') && path.includes(`mount=${layer.digest}`)),
    ).toBe(0);
  });

  test('that cannot be brought ends the copy, when all that was begun has ended, without a manifest', async () => {
    await using rig = await createRig(sites);
    const pushed = image('one is missing', { layers: 6 });
    await pushImage(sites.primaryTarget('blob/missing'), 'v1', pushed);
    const gate = createGate();
    const [bad, slow] = pushed.blobs;
    const unknown = JSON.stringify({ errors: [{ code: 'BLOB_UNKNOWN', message: '' }] });
    const headers = { 'content-type': 'application/json' };
    sites.relay.rules.push({ match: bodyOf(bad!), answer: { status: 404, headers, body: unknown } });
    sites.relay.rules.push({ match: bodyOf(slow!), gate });
    let isOver = false;
    const copying = copyOf(rig, { parallel: 2 })('blob/missing', { tag: 'v1' }).finally(() => (isOver = true));
    copying.catch(() => {});
    await waitFor(() => gate.arrived === 1 && sites.relay.requests.some(({ status }) => status === 404), {
      what: 'both',
    });
    expect(isOver).toBe(false);
    gate.open();
    await expect(copying).rejects.toThrow(`blob ${bad!.digest}: missing`);
    expect(puts(sites)).toEqual([slow!.digest]);
  });
});

describe('the secondary', () => {
  test('that is down costs nothing on the WAN but questions', async () => {
    await using rig = await createRig(sites);
    await pushImage(sites.primaryTarget('down/app'), 'v1', image('down'));
    await sites.localRelay.down();
    await expect(copyOf(rig)('down/app', { tag: 'v1' })).rejects.toThrow(CopyFailed);
    expect(sites.relay.count(isBlobGet)).toBe(0);
  });

  test('that takes no writes is told from one that fails', async () => {
    await using rig = await createRig(sites);
    await pushImage(sites.primaryTarget('down/read-only'), 'v1', image('read only'));
    sites.localRelay.rules.push({ match: isPost, answer: { status: 405, body: 'method not allowed' } });
    await expect(copyOf(rig)('down/read-only', { tag: 'v1' })).rejects.toThrow(SecondaryReadOnly);
    sites.localRelay.rules.length = 0;
    sites.localRelay.rules.push({ match: isManifestPut, answer: { status: 405, body: 'method not allowed' } });
    await expect(copyOf(rig)('down/read-only', { tag: 'v1' })).rejects.toThrow(SecondaryReadOnly);
  });

  test('a primary that refuses a blob is not taken for that', async () => {
    await using rig = await createRig(sites);
    await pushImage(sites.primaryTarget('down/primary'), 'v1', image('primary 405'));
    sites.relay.rules.push({ match: isBlobGet, answer: { status: 405 } });
    const copying = copyOf(rig)('down/primary', { tag: 'v1' });
    await expect(copying).rejects.not.toThrow(SecondaryReadOnly);
    await expect(copying).rejects.toThrow(CopyFailed);
  });

  test('that says 201 and does not give the manifest back does not have it', async () => {
    await using rig = await createRig(sites);
    await pushImage(sites.primaryTarget('down/lies'), 'v1', image('lies'));
    sites.localRelay.rules.push({ match: isManifestPut, answer: { status: 201 } });
    await expect(copyOf(rig)('down/lies', { tag: 'v1' })).rejects.toThrow('does not give it back');
  });
});

describe('what cannot be held is unsupported:', () => {
  test('a tree of manifests that is too deep', async () => {
    await using rig = await createRig(sites);
    let pushed = image('deep');
    for (let depth = 0; depth < 10; depth += 1) pushed = index([pushed]);
    await pushImage(sites.primaryTarget('hold/deep'), 'v1', pushed);
    expect(await copyOf(rig)('hold/deep', { tag: 'v1' })).toMatchObject({ kind: 'unsupported' });
  });

  test('a blob larger than what is taken of any', async () => {
    await using rig = await createRig(sites, { filler: { blobMax: 3_999 } });
    await pushImage(sites.primaryTarget('hold/large'), 'v1', image('large'));
    expect(await copyOf(rig)('hold/large', { tag: 'v1' })).toMatchObject({ kind: 'unsupported' });
  });

  test('schema 1, where the secondary does not take it', async () => {
    await using rig = await createRig(sites);
    const pushed = schema1({ name: 'hold/schema1', tag: 'v1', layers: [blob(500, 'schema 1')] });
    await pushImage(sites.primaryTarget('hold/schema1'), 'v1', pushed);
    expect(await copyOf(rig)('hold/schema1', { tag: 'v1' })).toMatchObject({ kind: 'unsupported' });
    await sites.secondary.stop();
    await sites.secondary.start({ schema1: true });
    expect(await copyOf(rig)('hold/schema1', { tag: 'v1' })).toMatchObject({ kind: 'synced', digest: pushed.digest });
    await sites.secondary.stop();
    await sites.secondary.start({ schema1: false });
  });
});

test('an index of which the primary lacks a child fails, and is not put', async () => {
  await using rig = await createRig(sites);
  const [there, gone] = [image('there'), image('gone')];
  const pushed = index([there, gone]);
  await pushImage(sites.primaryTarget('sparse/app'), 'v1', pushed);
  await fetch(`${sites.primary.url}/v2/sparse/app/manifests/${gone.digest}`, { method: 'DELETE' });
  await expect(copyOf(rig)('sparse/app', { tag: 'v1' })).rejects.toThrow(CopyFailed);
  expect(await digestHere(sites, 'sparse/app', 'v1')).toBeNull();
});

test('two copies of one image at once bring each blob once', async () => {
  await using rig = await createRig(sites);
  const pushed = image('at once', { layers: 5 });
  await pushImage(sites.primaryTarget('once/app'), 'v1', pushed);
  await pushImage(sites.primaryTarget('once/app'), 'v2', pushed);
  const copy = copyOf(rig);
  const both = await Promise.all([copy('once/app', { tag: 'v1' }), copy('once/app', { tag: 'v2' })]);
  expect(both).toMatchObject([{ kind: 'synced' }, { kind: 'synced' }]);
  for (const content of pushed.blobs) expect(sites.relay.count(bodyOf(content))).toBe(1);
});
