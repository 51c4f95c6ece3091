// R3, R9: what a copy brings, in which order, and that a tag ends with what the primary says at its end.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { CopyFailed } from '../../src/replication/copy-failure.ts';
import { createRig, startRigSites, type RigSites } from '../fill/rig.ts';
import { blob, digestOf } from '../support/content.ts';
import {
  artifact,
  buildCacheIndex,
  descriptor,
  image,
  index,
  manifest,
  manifestOf,
  type Manifest,
} from '../support/image.ts';
import { pushImage, putManifest } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';
import { copyOf, digestHere, isBlobGet, isManifestPut, puts } from './copying.ts';

let sites: RigSites;

beforeAll(async () => {
  const urlsAllow = ['^https://layers.example/'];
  sites = await startRigSites({ primary: { urlsAllow }, secondary: { urlsAllow } });
});
afterEach(async () => {
  await Promise.all([sites.relay.up(), sites.localRelay.up()]);
  sites.relay.reset();
  sites.localRelay.reset();
});
afterAll(() => sites.close());

const isTagHead: RelayMatch = ({ method, path }) => method === 'HEAD' && /\/manifests\/v\d$/.test(path);

const isLookAfterPut: RelayMatch = (request) => isTagHead(request) && request.nth === 3;

const byDigest: RelayMatch = ({ path }) => path.startsWith('/v2/tag/alone/manifests/sha256:');
const unknown = {
  status: 404,
  headers: { 'content-type': 'application/json' },
  body: '{"errors":[{"code":"MANIFEST_UNKNOWN"}]}',
};

function expectBefore(order: readonly string[], earlier: readonly { digest: string }[], later: string): void {
  const end = order.indexOf(later);
  expect(end, later).toBeGreaterThanOrEqual(0);
  for (const { digest } of earlier) {
    expect(order.indexOf(digest), digest).toBeGreaterThanOrEqual(0);
    expect(order.indexOf(digest)).toBeLessThan(end);
  }
}

describe('a copy puts', () => {
  test('the blobs of an image before its manifest', async () => {
    await using rig = await createRig(sites);
    const pushed = image('order', { layers: 6 });
    await pushImage(sites.primaryTarget('order/image'), 'v1', pushed);
    const bytes = pushed.blobs.reduce((sum, { size }) => sum + size, 0);
    const result = await copyOf(rig)('order/image', { tag: 'v1' });
    expect(result).toMatchObject({ kind: 'synced', digest: pushed.digest, bytes });
    expect(puts(sites)).toHaveLength(8);
    expectBefore(puts(sites), pushed.blobs, 'v1');
  });

  test('the children of an index, with all that is theirs, before it', async () => {
    await using rig = await createRig(sites);
    const inner = index([image('inner 1')]);
    const pushed = index([image('child 1'), inner]);
    await pushImage(sites.primaryTarget('order/index'), 'v1', pushed);
    expect(await copyOf(rig)('order/index', { tag: 'v1' })).toMatchObject({ kind: 'synced', digest: pushed.digest });
    const order = puts(sites);
    for (const parent of [...pushed.children, ...inner.children]) {
      expectBefore(order, [...parent.blobs, ...parent.children], parent.digest);
    }
    expectBefore(order, pushed.children, 'v1');
  });

  test('the subject of an artifact before it', async () => {
    await using rig = await createRig(sites);
    const subject = image('subject');
    const signature = artifact(subject, 'application/vnd.example.signature', blob('signed'));
    await pushImage(sites.primaryTarget('order/artifact'), undefined, subject);
    await pushImage(sites.primaryTarget('order/artifact'), undefined, signature);
    const result = await copyOf(rig)('order/artifact', { digest: signature.digest as Digest });
    expect(result).toMatchObject({ kind: 'synced', digest: signature.digest });
    const order = puts(sites);
    expectBefore(order, subject.blobs, subject.digest);
    expectBefore(order, [subject, ...signature.blobs], signature.digest);
  });

  test('an artifact whose subject is not to be had', async () => {
    await using rig = await createRig(sites);
    const signature = artifact(image('never pushed'), 'application/vnd.example.signature', blob('signed, too'));
    await pushImage(sites.primaryTarget('order/orphan'), 'v1', signature);
    expect(await copyOf(rig)('order/orphan', { tag: 'v1' })).toMatchObject({ kind: 'synced' });
    expect(await digestHere(sites, 'order/orphan', 'v1')).toBe(signature.digest);
  });

  test('a BuildKit cache, whose index lists blobs', async () => {
    await using rig = await createRig(sites);
    const pushed = buildCacheIndex([blob(2_000, 'cache 1'), blob(3_000, 'cache 2')]);
    await pushImage(sites.primaryTarget('order/cache'), 'v1', pushed);
    expect(await copyOf(rig)('order/cache', { tag: 'v1' })).toMatchObject({ kind: 'synced' });
    expectBefore(puts(sites), pushed.blobs, 'v1');
  });

  test('no foreign layer that the primary does not have', async () => {
    await using rig = await createRig(sites);
    const [own, foreign] = [blob(1_000, 'own'), blob(1_000, 'foreign')];
    const base = manifest({ layers: [own] });
    const document = JSON.parse(base.bytes.toString()) as { layers: object[] };
    const mediaType = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip';
    document.layers.push(descriptor(mediaType, foreign, { urls: ['https://layers.example/base'] }));
    const pushed = manifestOf(base.mediaType, document, { blobs: base.blobs });
    await pushImage(sites.primaryTarget('order/foreign'), 'v1', pushed);
    expect(await copyOf(rig)('order/foreign', { tag: 'v1' })).toMatchObject({ kind: 'synced' });
    expect(await digestHere(sites, 'order/foreign', 'v1')).toBe(pushed.digest);
    expect(puts(sites)).not.toContain(foreign.digest);
    expect(sites.relay.count(({ method, path }) => method === 'GET' && path.includes(foreign.digest))).toBe(0);
  });

  test('a blob that stands many times in a manifest once', async () => {
    await using rig = await createRig(sites);
    const layer = blob(1_000, 'many times');
    await pushImage(sites.primaryTarget('order/many'), 'v1', manifest({ layers: [layer, layer, layer] }));
    await copyOf(rig)('order/many', { tag: 'v1' });
    expect(puts(sites).filter((put) => put === layer.digest)).toHaveLength(1);
  });

  test('what the secondary has already not again', async () => {
    await using rig = await createRig(sites);
    const copy = copyOf(rig);
    await pushImage(sites.primaryTarget('order/again'), 'v1', image('again'));
    await copy('order/again', { tag: 'v1' });
    sites.relay.reset();
    sites.localRelay.reset();
    expect(await copy('order/again', { tag: 'v1' })).toMatchObject({ kind: 'synced', bytes: 0 });
    expect(sites.relay.count(isBlobGet)).toBe(0);
    expect(sites.localRelay.count(({ method }) => method !== 'GET' && method !== 'HEAD')).toBe(0);
  });
});

async function twoVersions(repository: string): Promise<{ first: Manifest; second: Manifest }> {
  const [first, second] = [image(`${repository} 1`), image(`${repository} 2`)];
  await pushImage(sites.primaryTarget(repository), 'v1', first);
  await pushImage(sites.primaryTarget(repository), undefined, second);
  return { first, second };
}

describe('a tag', () => {
  test('is looked up before, just before its PUT and after', async () => {
    await using rig = await createRig(sites);
    await twoVersions('tag/looks');
    const gate = createGate();
    sites.localRelay.rules.push({ match: isManifestPut, gate });
    const copying = copyOf(rig)('tag/looks', { tag: 'v1' });
    await waitFor(() => gate.arrived === 1, { what: 'the PUT' });
    expect(sites.relay.count(isTagHead)).toBe(2);
    expect(isTagHead(sites.relay.requests.at(-1)!)).toBe(true);
    gate.open();
    await copying;
    expect(sites.relay.count(isTagHead)).toBe(3);
  });

  test.each([
    ['while its blobs are brought', 'before'],
    ['while it is put', 'during'],
  ] as const)('that moves %s ends where it is then', async (_what, when) => {
    await using rig = await createRig(sites);
    const name = `tag/moves-${when}`;
    const { second } = await twoVersions(name);
    const gate = createGate();
    if (when === 'before') sites.relay.rules.push({ match: ({ path }) => path.includes('/blobs/'), gate });
    else sites.localRelay.rules.push({ match: isManifestPut, gate });
    const copying = copyOf(rig)(name, { tag: 'v1' });
    await waitFor(() => gate.arrived > 0, { what: 'the copy to be on its way' });
    await putManifest(sites.primaryTarget(name), 'v1', second);
    gate.open();
    expect(await copying).toMatchObject({ kind: 'synced', digest: second.digest });
    expect(await digestHere(sites, name, 'v1')).toBe(second.digest);
    // What it meant before is not put under it after the move was seen.
    expect(puts(sites).filter((put) => put === 'v1')).toHaveLength(when === 'before' ? 1 : 2);
  });

  test('that is removed while it is put is gone', async () => {
    await using rig = await createRig(sites);
    const { first } = await twoVersions('tag/removed');
    const gate = createGate();
    sites.localRelay.rules.push({ match: isManifestPut, gate });
    const copying = copyOf(rig)('tag/removed', { tag: 'v1' });
    await waitFor(() => gate.arrived === 1, { what: 'the PUT' });
    await fetch(`${sites.primary.url}/v2/tag/removed/manifests/${first.digest}`, { method: 'DELETE' });
    gate.open();
    expect(await copying).toEqual({ kind: 'gone' });
  });

  test('of which the primary says nothing after its PUT is not synced', async () => {
    await using rig = await createRig(sites);
    await twoVersions('tag/silent');
    sites.relay.rules.push({ match: isLookAfterPut, answer: { status: 503 } });
    await expect(copyOf(rig)('tag/silent', { tag: 'v1' })).rejects.toThrow(CopyFailed);
  });

  test('that keeps moving is given up for now', async () => {
    await using rig = await createRig(sites);
    const { first, second } = await twoVersions('tag/restless');
    for (let nth = 1; nth <= 8; nth += 1) {
      const headers = {
        'docker-content-digest': nth % 2 ? first.digest : second.digest,
        'content-type': first.mediaType,
      };
      sites.relay.rules.push({ match: isTagHead, answer: { status: 200, headers }, times: 1 });
    }
    await expect(copyOf(rig)('tag/restless', { tag: 'v1' })).rejects.toThrow('it keeps moving');
    expect(sites.localRelay.count(isManifestPut)).toBe(0);
  });

  test('whose manifest the primary gives by the tag alone comes', async () => {
    await using rig = await createRig(sites);
    const pushed = image('tag alone', { layers: 1 });
    await pushImage(sites.primaryTarget('tag/alone'), 'v1', pushed);
    sites.relay.rules.push({ match: byDigest, answer: unknown });
    expect(await copyOf(rig)('tag/alone', { tag: 'v1' })).toMatchObject({ kind: 'synced', digest: pushed.digest });
    expect(await digestHere(sites, 'tag/alone', 'v1')).toBe(pushed.digest);
  });

  test('that the primary names and does not give is not said to move', async () => {
    await using rig = await createRig(sites);
    await pushImage(sites.primaryTarget('tag/alone'), 'v2', image('named alone', { layers: 1 }));
    sites.relay.rules.push({ match: byDigest, answer: unknown });
    sites.relay.rules.push({ match: ({ method, path }) => method === 'GET' && path.endsWith('/v2'), answer: unknown });
    await expect(copyOf(rig)('tag/alone', { tag: 'v2' })).rejects.toThrow('but does not give it');
  });

  test('that the primary does not have is gone, one that it cannot be asked for is not', async () => {
    await using rig = await createRig(sites);
    await twoVersions('tag/unknown');
    expect(await copyOf(rig)('tag/unknown', { tag: 'v9' })).toEqual({ kind: 'gone' });
    expect(await copyOf(rig)('tag/unknown', { digest: digestOf('nothing') as Digest })).toEqual({ kind: 'gone' });
    await sites.relay.down();
    await expect(copyOf(rig)('tag/unknown', { tag: 'v1' })).rejects.toThrow(CopyFailed);
  });
});
