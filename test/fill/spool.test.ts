// F4: where the spool has no room, blobs go past it, and nobody notices.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { blob, type Blob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { createGate, type Gate } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf, download } from './download.ts';
import { isStored, untilStored } from './secondary.ts';

const MiB = 1024 * 1024;
const SPOOL_MAX = 4 * MiB;

let site: ProxySite;

beforeAll(async () => {
  site = await startProxySite({ env: { GEO_SPOOL_MAX: '4MiB' } });
});
afterEach(() => {
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(() => site.close());

async function pushed(size: number, seed: string): Promise<Blob> {
  const layer = blob(size, seed);
  await pushBlob(site.primaryTarget('spool/app'), layer);
  return layer;
}

const pathOf = ({ digest }: Blob): string => `spool/app/blobs/${digest}`;
const pull = (layer: Blob): ReturnType<typeof download> => download(site, pathOf(layer));
const passedThrough = (): Promise<number> => site.metric('passed_through_total');

function hold(layer: Blob, holdAfter: number): Gate {
  const holdGate = createGate();
  onTestFinished(() => holdGate.open());
  site.relay.rules.push({ match: bodyOf(layer), holdAfter, holdGate });
  return holdGate;
}

/** Uploads of what has no length. */
const isUpload: RelayMatch = ({ method }) => method === 'PATCH';

test('a blob larger than the spool is streamed through, and stored at the same time', async () => {
  const layer = await pushed(6 * MiB, 'larger than the spool');
  const before = await passedThrough();
  expect(await pull(layer)).toMatchObject({
    status: 200,
    headers: { 'content-length': String(layer.size) },
    digest: layer.digest,
    whole: true,
  });
  await untilStored(site, 'spool/app', layer);
  expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
  expect(await passedThrough()).toBe(before + 1);
  expect(await readdir(join(site.dataDir, 'spool'))).toEqual([]);
});

test('one that goes past the spool is resumed when it is cut, and its client does not notice', async () => {
  const layer = await pushed(6 * MiB, 'cut past the spool');
  site.relay.rules.push({ match: bodyOf(layer), cutAfter: MiB, times: 1 });
  expect(await pull(layer)).toMatchObject({ digest: layer.digest, whole: true });
  await untilStored(site, 'spool/app', layer);
  expect(site.relay.bodyBytes(bodyOf(layer))).toBeLessThanOrEqual(1.1 * layer.size);
});

test('one that goes past the spool is stored although its client left', async () => {
  const layer = await pushed(6 * MiB, 'left past the spool');
  const gate = hold(layer, MiB);
  const { body } = await site.open(pathOf(layer));
  body.on('error', () => {}).destroy();
  await waitFor(() => gate.arrived === 1, { what: 'the transfer' });
  gate.open();
  await untilStored(site, 'spool/app', layer);
  expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
});

test('a secondary that refuses it, or breaks off, does not harm the client', async () => {
  const refused = await pushed(6 * MiB, 'refused past the spool');
  site.localRelay.rules.push({ match: ({ method }) => method === 'POST', answer: { status: 405 }, times: 1 });
  expect(await pull(refused)).toMatchObject({ digest: refused.digest, whole: true });

  const broken = await pushed(6 * MiB, 'broken past the spool');
  const gate = hold(broken, 3 * MiB);
  const pulling = pull(broken);
  await waitFor(() => site.localRelay.count(({ method }) => method === 'PUT') === 1, { what: 'the upload' });
  await site.localRelay.down();
  await site.localRelay.up();
  gate.open();
  expect(await pulling).toMatchObject({ digest: broken.digest, whole: true });
});

test('Range of one that goes past the spool comes straight from the primary', async () => {
  const layer = await pushed(6 * MiB, 'range past the spool');
  const part = await site.ask(pathOf(layer), { headers: { range: 'bytes=5000000-5000999' } });
  expect(part).toMatchObject({ status: 206, headers: { 'content-range': `bytes 5000000-5000999/${layer.size}` } });
  expect(part.body.equals(blob(6 * MiB, 'range past the spool').bytes.subarray(5_000_000, 5_001_000))).toBe(true);
});

test('two wrong bodies past the spool are counted as any other, and none is taken for whole', async () => {
  const layer = await pushed(6 * MiB, 'wrong past the spool');
  const before = await site.metric('digest_mismatches_total');
  site.relay.rules.push({ match: bodyOf(layer), corruptAt: 3 * MiB });
  const two = [await pull(layer), await pull(layer)];
  expect(two).toMatchObject([{ whole: false }, { whole: false }]);
  expect(await site.metric('digest_mismatches_total')).toBe(before + 2);
  expect(await isStored(site, 'spool/app', layer)).toBe(false);
  expect(await pull(layer)).toMatchObject({ status: 502 });
  expect(site.relay.count(bodyOf(layer))).toBe(2);
});

test('room that another transfer has is not taken from it', async () => {
  const [first, second] = [await pushed(3 * MiB, 'has the room'), await pushed(3 * MiB, 'has none')];
  const gate = hold(first, MiB);
  const before = await passedThrough();
  const pulling = pull(first);
  await waitFor(() => gate.arrived === 1, { what: 'the first transfer' });
  expect(await pull(second)).toMatchObject({ digest: second.digest, whole: true });
  expect(await passedThrough()).toBe(before + 1);
  gate.open();
  expect(await pulling).toMatchObject({ digest: first.digest, whole: true });
  await untilStored(site, 'spool/app', second);
});

test('room that only a stored blob has, for those who come late, is taken', async () => {
  const [first, second] = [await pushed(3 * MiB, 'stored before'), await pushed(3 * MiB, 'takes its room')];
  const before = await passedThrough();
  expect(await pull(first)).toMatchObject({ whole: true });
  await untilStored(site, 'spool/app', first);
  await waitFor(() => site.localRelay.requests.every(({ state }) => state !== 'open'), {
    what: 'the end of the upload',
  });
  expect(await pull(second)).toMatchObject({ digest: second.digest, whole: true });
  expect(await passedThrough()).toBe(before);
  expect(await site.metric('spool_bytes')).toBeLessThanOrEqual(SPOOL_MAX);
});

test('a source without a length takes room as it comes, and goes on past the spool where that ends', async () => {
  await site.restart();
  const [small, large] = [await pushed(2 * MiB, 'chunked, small'), await pushed(6 * MiB, 'chunked, large')];
  const odd = { chunked: true, ignoreRange: true };
  const holdGate = createGate();
  onTestFinished(() => holdGate.open());
  site.relay.rules.push({ ...odd, match: bodyOf(large), holdAfter: MiB, holdGate });
  site.relay.rules.push({ ...odd, match: ({ method }) => method === 'GET' });
  const pulled = await pull(small);
  expect(pulled).toMatchObject({ digest: small.digest, whole: true });
  expect(pulled.headers).not.toHaveProperty('content-length');
  expect(await site.metric('spool_bytes')).toBe(small.size);
  // So that the upload is under way when the spool ends, however busy the machine is.
  const uploads = site.localRelay.count(isUpload);
  const both = Promise.all([pull(large), pull(large)]);
  await waitFor(() => site.localRelay.count(isUpload) > uploads, { what: 'the upload' });
  holdGate.open();
  expect(await both).toMatchObject([
    { digest: large.digest, whole: true },
    { digest: large.digest, whole: true },
  ]);
  expect(await site.metric('spool_bytes')).toBeLessThanOrEqual(SPOOL_MAX);
  await Promise.all([small, large].map((layer) => untilStored(site, 'spool/app', layer)));
});

test('a folder that somebody removed is made again', async () => {
  await rm(join(site.dataDir, 'spool'), { recursive: true });
  const layer = await pushed(MiB, 'no folder');
  const before = await passedThrough();
  expect(await pull(layer)).toMatchObject({ digest: layer.digest, whole: true });
  expect(await passedThrough()).toBe(before);
});
