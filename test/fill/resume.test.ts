// F5: what the primary breaks off goes on at the byte reached, inside the same responses.
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { blob, type SmallBlob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { createGate, type RelayRule } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf, download, isFromStart, type Download } from './download.ts';
import { isStored, untilStored } from './secondary.ts';
import { scaled } from '../support/patience.ts';

const MiB = 1024 * 1024;

let site: ProxySite;

beforeAll(async () => {
  site = await startProxySite({ knobs: { patience: scaled(2_000) } });
});
afterEach(async () => {
  await site.relay.up();
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(() => site.close());

async function pushed(seed: string, size = 4 * MiB): Promise<SmallBlob> {
  const layer = blob(size, seed);
  await pushBlob(site.primaryTarget('f5/app'), layer);
  return layer;
}

const isGet: RelayMatch = ({ method }) => method === 'GET';

const pull = (layer: SmallBlob): Promise<Download> => download(site, `f5/app/blobs/${layer.digest}`);

/** The requests that go on with a blob. */
const resumeOf =
  (layer: SmallBlob): RelayMatch =>
  (request) =>
    bodyOf(layer)(request) && !isFromStart(request);

/** Pulls a blob whose first transfer is cut after `cutAfter` bytes and whose further ones go by `rules`. */
function pullCut(layer: SmallBlob, cutAfter: number, ...rules: RelayRule[]): Promise<Download> {
  const first: RelayMatch = (request) => bodyOf(layer)(request) && request.nth === 1;
  site.relay.rules.push({ match: first, cutAfter }, ...rules.map((rule) => ({ match: resumeOf(layer), ...rule })));
  return pull(layer);
}

/** How many bytes of a blob are in the spool. */
async function spooled({ digest }: SmallBlob): Promise<number> {
  const spool = join(site.dataDir, 'spool');
  const file = (await readdir(spool)).find((name) => name.startsWith(digest.replace(':', '-')));
  return file === undefined ? 0 : (await stat(join(spool, file))).size;
}

test('two cuts inside one blob cost its clients nothing and the WAN next to nothing', async () => {
  const layer = await pushed('two cuts', 8 * MiB);
  site.relay.rules.push({ match: bodyOf(layer), times: 1, cutAfter: 2 * MiB });
  site.relay.rules.push({ match: bodyOf(layer), times: 1, cutAfter: 3 * MiB });
  const all = await Promise.all([pull(layer), pull(layer), pull(layer)]);
  expect(all).toMatchObject(all.map(() => ({ status: 200, digest: layer.digest, whole: true })));
  await untilStored(site, 'f5/app', layer);
  expect(site.relay.bodyBytes(bodyOf(layer))).toBeLessThanOrEqual(1.1 * layer.size);
  expect(site.relay.requests.map(isFromStart)).toEqual([true, false, false]);
});

test.each([
  ['before the first byte', 0],
  ['after the first byte', 1],
  ['before the last byte', 4 * MiB - 1],
])('a cut %s is one as any other', async (where, cutAfter) => {
  const layer = await pushed(where);
  expect(await pullCut(layer, cutAfter)).toMatchObject({ digest: layer.digest, whole: true });
  expect(site.relay.bodyBytes(bodyOf(layer))).toBeLessThanOrEqual(1.1 * layer.size);
});

test('a registry that ignores Range sends what is there again, and only the rest is taken', async () => {
  const layer = await pushed('ignores ranges');
  const pulled = await pullCut(layer, 3 * MiB, { ignoreRange: true });
  expect(pulled).toMatchObject({ digest: layer.digest, whole: true });
  expect(site.relay.bodyBytes(bodyOf(layer))).toBe(3 * MiB + layer.size);
});

test('bytes from further on than was asked are not taken, and asked again', async () => {
  const layer = await pushed('further on');
  const headers = { 'content-range': `bytes ${3 * MiB}-${layer.size - 1}/${layer.size}` };
  const answer = { status: 206, headers, body: layer.bytes.subarray(3 * MiB) };
  expect(await pullCut(layer, 2 * MiB, { answer, times: 1 })).toMatchObject({ digest: layer.digest, whole: true });
});

test('a Content-Range that is none is not believed', async () => {
  const layer = await pushed('nonsense');
  const setHeaders = { 'content-range': 'bytes 9-5/7' };
  expect(await pullCut(layer, 2 * MiB, { setHeaders, times: 1 })).toMatchObject({ digest: layer.digest, whole: true });
});

test('a Content-Range that begins earlier is taken from where it is of use', async () => {
  const layer = await pushed('earlier range');
  // What was asked from about byte 1 MiB is sent from byte 0, and says so.
  const setHeaders = { 'content-range': `bytes 0-${layer.size - 1}/${layer.size}` };
  const rule = { answer: { status: 206, headers: setHeaders, body: layer.bytes } };
  expect(await pullCut(layer, MiB, rule)).toMatchObject({ digest: layer.digest, whole: true });
});

test('a 206 without a Content-Range is asked again', async () => {
  const layer = await pushed('no range');
  const pulled = await pullCut(layer, MiB, { dropHeaders: ['content-range'], times: 1 });
  expect(pulled).toMatchObject({ digest: layer.digest, whole: true });
});

test('a token that ends in between is minted anew', async () => {
  const layer = await pushed('token expired');
  const headers = { 'www-authenticate': 'Bearer realm="https://x",service="container_registry",error="invalid_token"' };
  const pulled = await pullCut(layer, MiB, { answer: { status: 401, headers }, times: 1 });
  expect(pulled).toMatchObject({ digest: layer.digest, whole: true });
  const [refused, accepted] = site.relay.requests
    .filter(resumeOf(layer))
    .map(({ headers: sent }) => sent.authorization);
  expect(refused).toMatch(/^Bearer /);
  expect(accepted).toMatch(/^Bearer /);
  expect(accepted).not.toBe(refused);
});

test.each([
  ['429', { status: 429, headers: { 'retry-after': '1' } }],
  ['503', { status: 503 }],
  ['500', { status: 500 }],
])('a %s in between is not the end', async (what, answer) => {
  const layer = await pushed(what);
  expect(await pullCut(layer, MiB, { answer, times: 2 })).toMatchObject({ digest: layer.digest, whole: true });
  expect(site.relay.count(resumeOf(layer))).toBe(3);
});

test('a primary that is away for a while is waited for', async () => {
  const layer = await pushed('away');
  const holdGate = createGate();
  site.relay.rules.push({ match: bodyOf(layer), holdAfter: MiB, holdGate });
  const pulling = pull(layer);
  await waitFor(() => holdGate.arrived === 1, { what: 'the first MiB' });
  await site.relay.down();
  const tries = (): number =>
    site.log.filter(({ msg, digest }) => digest === layer.digest && /resuming/.test(String(msg))).length;
  await waitFor(() => tries() > 1, { what: 'more than one try' });
  site.relay.rules.length = 0;
  await site.relay.up();
  expect(await pulling).toMatchObject({ digest: layer.digest, whole: true });
});

test('where nothing comes any more the connection is reset, not ended, and the next pull begins anew', async () => {
  const layer = await pushed('gone for good');
  const chunked = await pushed('gone for good, without a length');
  const holdGate = createGate();
  const cut = { holdAfter: MiB, holdGate, cutAfter: MiB, times: 1 };
  site.relay.rules.push(
    { match: bodyOf(chunked), chunked: true, ignoreRange: true, ...cut },
    { match: bodyOf(layer), ...cut },
  );
  site.relay.rules.push({ match: isGet, cutAfter: 0 });
  const both = [await site.open(`f5/app/blobs/${chunked.digest}`), await site.open(`f5/app/blobs/${layer.digest}`)];
  expect(both.map(({ statusCode }) => statusCode)).toEqual([200, 200]);
  await waitFor(() => holdGate.arrived === 2, { what: 'a MiB of each' });
  holdGate.open();
  for (const response of both) await expect(response.body.arrayBuffer()).rejects.toThrow();
  expect(await isStored(site, 'f5/app', layer)).toBe(false);
  site.relay.reset();
  expect(await pull(layer)).toMatchObject({ digest: layer.digest, whole: true });
  expect(await pull(chunked)).toMatchObject({ digest: chunked.digest, whole: true });
});

test('a blob that the primary removed in between is not waited for', async () => {
  const layer = await pushed('removed');
  const gate = createGate();
  const pulling = pullCut(layer, MiB, { gate });
  await waitFor(() => gate.arrived === 1, { what: 'the resumed request' });
  await rm(site.primary.blobFile(layer.digest));
  gate.open();
  expect(await pulling).toMatchObject({ whole: false });
  expect(site.relay.count(resumeOf(layer))).toBe(1);
});

test('a blob that became shorter in between is not put together of two', async () => {
  const layer = await pushed('other size');
  const setHeaders = { 'content-range': `bytes ${MiB}-${layer.size - 2}/${layer.size - 1}` };
  expect(await pullCut(layer, MiB, { setHeaders })).toMatchObject({ whole: false });
});

test('without a length the end shows by there being nothing behind it', async () => {
  const layer = await pushed('cut behind the end');
  const holdGate = createGate();
  const [holdAfter, cutAfter] = [layer.size, layer.size];
  site.relay.rules.push({
    match: bodyOf(layer),
    chunked: true,
    ignoreRange: true,
    holdAfter,
    holdGate,
    cutAfter,
    times: 1,
  });
  const pulling = pull(layer);
  // All bytes have arrived; that they are all is not known yet.
  await waitFor(async () => (await spooled(layer)) === layer.size, { what: 'all bytes' });
  holdGate.open();
  expect(await pulling).toMatchObject({ digest: layer.digest, whole: true });
  expect(site.relay.requests.map(({ status }) => status)).toContain(416);
  await untilStored(site, 'f5/app', layer);
});
