// Local blobs whose file was cut short or is gone: the client gets every byte, and the next pull is the primary's.
import { rm, truncate, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob, type SmallBlob } from '../support/content.ts';
import { manifest } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob, putManifest } from '../support/push.ts';
import type { RelayMatch } from '../support/relay.ts';
import { calm, pushToBoth } from './local-copy.ts';

let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite({ secondary: { descriptorCache: 'inmemory' } });
});
afterEach(() => {
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(() => site.close());

async function restartSecondary(): Promise<void> {
  await site.secondary.stop();
  await site.secondary.start();
}

let count = 0;

/** A blob of a repository of its own at both sites; with a manifest pulled before, its size is known. */
async function placed(size: number, isKnown: boolean): Promise<{ path: string; layer: SmallBlob }> {
  const name = `damage/no${(count += 1)}`;
  const layer = blob(size, name);
  if (isKnown) {
    await pushToBoth(site, name, 'v1', manifest({ layers: [layer] }));
    expect((await site.ask(`${name}/manifests/v1`)).status).toBe(200);
  } else {
    await pushBlob(site.primaryTarget(name), layer);
    await pushBlob(site.secondaryTarget(name), layer);
  }
  site.relay.reset();
  return { path: `${name}/blobs/${layer.digest}`, layer };
}

function damageLines(digest: string): number {
  return site.log.filter(
    (line) => line['digest'] === digest && /^local blob (?:is damaged|broke off)/.test(String(line['msg'])),
  ).length;
}

type Damage = (layer: SmallBlob) => Promise<void>;
const cutShort: Damage = (layer) => truncate(site.secondary.blobFile(layer.digest), Math.floor(layer.size / 3));
const emptied: Damage = (layer) => truncate(site.secondary.blobFile(layer.digest), 0);
const gone: Damage = (layer) => rm(site.secondary.blobFile(layer.digest));

async function damaged(damage: Damage, size: number, isKnown: boolean, isRestarted: boolean) {
  const made = await placed(size, isKnown);
  await damage(made.layer);
  // Until then a registry that remembers descriptors goes on to say how long the file once was.
  if (isRestarted) await restartSecondary();
  return made;
}

// Large ones are judged while they are sent, small ones before.
const [large, small] = [1_500_000, 40_000];

describe.each([
  { what: 'cut short', damage: cutShort, size: large, isKnown: true, isRestarted: false },
  { what: 'cut short', damage: cutShort, size: large, isKnown: true, isRestarted: true },
  { what: 'cut short', damage: cutShort, size: large, isKnown: false, isRestarted: false },
  { what: 'cut short', damage: cutShort, size: large, isKnown: false, isRestarted: true },
  { what: 'cut short', damage: cutShort, size: small, isKnown: false, isRestarted: false },
  { what: 'cut short', damage: cutShort, size: small, isKnown: false, isRestarted: true },
  { what: 'empty', damage: emptied, size: small, isKnown: true, isRestarted: false },
  { what: 'empty', damage: emptied, size: small, isKnown: true, isRestarted: true },
  { what: 'empty', damage: emptied, size: small, isKnown: false, isRestarted: true },
  { what: 'gone', damage: gone, size: large, isKnown: false, isRestarted: false },
  { what: 'gone', damage: gone, size: small, isKnown: true, isRestarted: false },
])('a file of $size bytes $what, size known $isKnown, registry restarted $isRestarted', (each) => {
  test('every byte comes, the log tells, and the next pull is the primary’s', async () => {
    const { path, layer } = await damaged(each.damage, each.size, each.isKnown, each.isRestarted);
    const before = await site.metric('primary_body_bytes_total');
    const answer = await site.ask(path);
    expect(answer.status).toBe(200);
    expect(answer.body.equals(layer.bytes)).toBe(true);
    expect(damageLines(layer.digest)).toBeGreaterThan(0);
    site.localRelay.reset();
    expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
    const ofLayer: RelayMatch = ({ path: asked }) => asked.includes(layer.digest);
    expect(site.relay.count(ofLayer)).toBeGreaterThan(0);
    expect((await site.metric('primary_body_bytes_total')) - before).toBe(site.relay.bodyBytes(ofLayer));
  });

  test('so with a part of it', async () => {
    const { path, layer } = await damaged(each.damage, each.size, each.isKnown, each.isRestarted);
    const answer = await site.ask(path, { headers: { range: 'bytes=-25000' } });
    expect(answer.status).toBe(206);
    expect(answer.headers['content-range']).toBe(`bytes ${each.size - 25_000}-${each.size - 1}/${each.size}`);
    expect(answer.body.equals(layer.bytes.subarray(each.size - 25_000))).toBe(true);
  });
});

test.each(['bytes=100-30099', 'bytes=20000-', 'bytes=20000-999999999'])(
  'the part %s of a short file',
  async (range) => {
    const { path, layer } = await damaged(cutShort, large, false, true);
    const [first = 0, last] = range.match(/\d+/g)!.map(Number);
    const answer = await site.ask(path, { headers: { range } });
    expect(answer.status).toBe(206);
    expect(answer.body.equals(layer.bytes.subarray(first, (last ?? large) + 1))).toBe(true);
  },
);

test('a file that is gone with the registry’s memory of it is a miss like any other', async () => {
  const { path, layer } = await damaged(gone, small, false, true);
  expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
  expect(damageLines(layer.digest)).toBe(0);
});

test('a file with other bytes of the right length is never given out as whole once its size is unknown', async () => {
  const { path, layer } = await placed(40_000, false);
  await writeFile(site.secondary.blobFile(layer.digest), blob(layer.size, 'other').bytes);
  const answer = await site.ask(path);
  expect(answer.body.equals(layer.bytes)).toBe(true);
});

test('a part of a short file teaches nothing about the whole', async () => {
  const { path, layer } = await placed(1_500_000, false);
  await truncate(site.secondary.blobFile(layer.digest), 700_000);
  await restartSecondary();
  expect((await site.ask(path, { headers: { range: 'bytes=0-99' } })).body.equals(layer.bytes.subarray(0, 100))).toBe(
    true,
  );
  expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
});

test('a manifest that lies about a size costs a look, not the local copy', async () => {
  const { path, layer } = await placed(small, false);
  const lie = manifest({ layers: [{ ...layer, size: layer.size - 1, open: layer.open }] });
  await Promise.all([layer, lie.blobs[0]!].map((part) => pushBlob(site.primaryTarget('damage/lie'), part)));
  await putManifest(site.primaryTarget('damage/lie'), 'v1', lie);
  expect((await site.ask('damage/lie/manifests/v1')).status).toBe(200);
  expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
  expect(damageLines(layer.digest)).toBe(0);
  expect(site.relay.count((asked) => asked.path.includes(path))).toBe(0);
});

/** Cuts the local registry's next answer of a blob, as one that is stopped does. */
function cutOnce({ digest }: SmallBlob): void {
  site.localRelay.rules.push({
    match: ({ path: asked, method }) => method === 'GET' && asked.includes(digest),
    cutAfter: 1_000_000,
    times: 1,
  });
}

test('a local registry that goes away in the middle is continued, and believed when it is back', async () => {
  const { path, layer } = await placed(3_000_000, true);
  const ofLayer: RelayMatch = ({ path: asked }) => asked.includes(layer.digest);
  cutOnce(layer);
  expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
  expect(site.relay.bodyBytes(ofLayer)).toBe(2_000_000);
  site.relay.reset();
  expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
  expect(site.relay.count(ofLayer)).toBe(0);
});

test('so it is believed while the primary is away: what is here and whole is no 503', async () => {
  const { path, layer } = await placed(3_000_000, true);
  await site.relay.down();
  cutOnce(layer);
  const broken = await site.open(path);
  site.localRelay.rules.length = 0;
  for (let pull = 0; pull < 5; pull += 1) {
    const answer = await site.ask(path);
    expect(answer.status).toBe(200);
    expect(answer.body.equals(layer.bytes)).toBe(true);
  }
  broken.body.on('error', () => undefined).destroy();
  // The next test's primary is there.
  await calm(site);
});

async function withOtherBytes(size: number): Promise<{ path: string; layer: SmallBlob }> {
  const made = await placed(size, true);
  await writeFile(site.secondary.blobFile(made.layer.digest), blob(size, 'other').bytes);
  return made;
}

describe('other bytes of the right length under a known size', () => {
  test('small ones are read first: the client gets the primary’s', async () => {
    const { path, layer } = await withOtherBytes(small);
    expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
    expect(damageLines(layer.digest)).toBe(1);
  });

  test('large ones are never a whole answer, and the next pull is the primary’s', async () => {
    const { path, layer } = await withOtherBytes(large);
    await expect(site.ask(path)).rejects.toThrow();
    expect(damageLines(layer.digest)).toBe(1);
    expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
  });

  test('nor where the primary continues them with wrong ones', async () => {
    const { path, layer } = await placed(3_000_000, true);
    cutOnce(layer);
    site.relay.rules.push({ match: ({ path: asked }) => asked.includes(layer.digest), corruptAt: 5 });
    await expect(site.ask(path)).rejects.toThrow();
  });
});

test('HEAD and parts of a short file of unknown size tell the size that the primary tells', async () => {
  const { path, layer } = await placed(3_000_000, false);
  await truncate(site.secondary.blobFile(layer.digest), 2_000_000);
  await restartSecondary();
  expect((await site.ask(path, { method: 'HEAD' })).headers['content-length']).toBe('3000000');
  const part = await site.ask(path, { headers: { range: 'bytes=0-9' } });
  expect(part.headers['content-range']).toBe('bytes 0-9/3000000');
  expect(part.body.equals(layer.bytes.subarray(0, 10))).toBe(true);
});

test('a local part that is not the one that was asked for is no answer', async () => {
  const { path, layer } = await placed(3_000_000, true);
  site.localRelay.rules.push({
    match: ({ path: asked }) => asked.includes(layer.digest),
    setHeaders: { 'content-range': `bytes 0-9/${layer.size}` },
  });
  const part = await site.ask(path, { headers: { range: 'bytes=100-299' } });
  expect(part.headers['content-range']).toBe(`bytes 100-299/${layer.size}`);
  expect(part.body.equals(layer.bytes.subarray(100, 300))).toBe(true);
});
