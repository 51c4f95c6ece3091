// F6: wrong bytes never look complete to anybody, and are never stored.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob, type SmallBlob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf, download, receive, type Download } from './download.ts';
import { rawClient } from './raw-client.ts';
import { createRig, digestOf, startRigSites } from './rig.ts';
import { isStored, untilStored } from './secondary.ts';
import { scaled } from '../support/patience.ts';

const MiB = 1024 * 1024;

let site: ProxySite;

beforeAll(async () => {
  site = await startProxySite();
});
afterEach(() => {
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(() => site.close());

async function pushed(seed: string, size = 2 * MiB, algorithm = 'sha256'): Promise<SmallBlob> {
  const layer = blob(size, seed, algorithm);
  await pushBlob(site.primaryTarget('f6/app'), layer);
  return layer;
}

const pathOf = ({ digest }: SmallBlob): string => `f6/app/blobs/${digest}`;
const pull = (layer: SmallBlob): Promise<Download> => download(site, pathOf(layer));

/** Found out before the answer began, or reset. */
const isRefused = ({ status, whole }: Download): boolean => status === 502 || !whole;

describe.each([
  ['in the first byte', 2 * MiB, 0, 'sha256'],
  ['in the middle', 2 * MiB, MiB, 'sha256'],
  ['in the last KiB', 2 * MiB, 2 * MiB - 1_000, 'sha256'],
  ['in the last byte', 2 * MiB, 2 * MiB - 1, 'sha256'],
  ['in a blob smaller than what is held back', 500, 250, 'sha256'],
  ['in a blob of one byte', 1, 0, 'sha256'],
  ['in a blob of sha512', MiB, 1_000, 'sha512'],
])('one flipped bit %s', (where, size, corruptAt, algorithm) => {
  test('completes nothing, is stored nowhere, is counted and logged, and the next pull is right', async () => {
    const layer = await pushed(where, size, algorithm);
    const before = await site.metric('digest_mismatches_total');
    const gate = createGate();
    site.relay.rules.push({ match: bodyOf(layer), gate, corruptAt, times: 1 });
    const all = [
      pull(layer),
      pull(layer),
      site.open(pathOf(layer), { headers: { range: `bytes=${size >> 1}-` } }).then(receive),
    ];
    // Each has its answer of the secondary, and asked for the blob before the proxy answers another question.
    const looked: RelayMatch = (request) => bodyOf(layer)(request) && request.state === 'complete';
    await waitFor(() => site.localRelay.count(looked) === all.length && gate.arrived === 1, {
      what: 'all the clients',
    });
    await site.metric('flights_total');
    gate.open();
    expect((await Promise.all(all)).every(isRefused)).toBe(true);
    expect(site.relay.count(bodyOf(layer))).toBe(1);
    expect(await isStored(site, 'f6/app', layer)).toBe(false);
    expect(await site.metric('digest_mismatches_total')).toBe(before + 1);
    const lines = site.log.filter(({ digest, level }) => digest === layer.digest && Number(level) >= 50);
    expect(lines.map(({ msg }) => msg)).toContain('the primary gave wrong bytes for this blob');

    const again = await receive(await site.open(pathOf(layer)), undefined, algorithm);
    expect(again).toMatchObject({ status: 200, digest: layer.digest, whole: true });
    await untilStored(site, 'f6/app', layer);
  });
});

test('a part that is open when the bytes turn out wrong is reset, too', async () => {
  const layer = await pushed('open part', 8 * MiB);
  const holdGate = createGate();
  site.relay.rules.push({ match: bodyOf(layer), corruptAt: 5, holdAfter: 6 * MiB, holdGate });
  const whole = pull(layer);
  await waitFor(() => holdGate.arrived === 1, { what: 'three quarters' });
  const part = await site.open(pathOf(layer), { headers: { range: `bytes=${MiB}-${7 * MiB}` } });
  expect(part.statusCode).toBe(206);
  holdGate.open();
  expect([await whole, await receive(part)]).toMatchObject([{ whole: false }, { whole: false }]);
});

test('after two wrong bodies in a row the blob is a 502, and the primary is not asked for it', async () => {
  const layer = await pushed('twice wrong');
  site.relay.rules.push({ match: bodyOf(layer), corruptAt: 77 });
  expect([await pull(layer), await pull(layer)]).toMatchObject([{ whole: false }, { whole: false }]);
  const third = await site.ask(pathOf(layer));
  expect(third).toMatchObject({ status: 502, code: 'UNKNOWN' });
  expect(site.relay.count(bodyOf(layer))).toBe(2);
  // Others are not concerned.
  const other = await pushed('not wrong');
  expect(await pull(other)).toMatchObject({ digest: other.digest, whole: true });
});

test('wrong, right and wrong again is not twice in a row', async () => {
  await using sites = await disposable(startRigSites());
  await using rig = await createRig(sites, { isStored: () => false, filler: { linger: 0 } });
  const layer = blob(10_000, 'in a row');
  await pushBlob(sites.primaryTarget('f6/row'), layer);
  const outcomes: string[] = [];
  for (const corruptAt of [5, -1, 5, -1]) {
    sites.relay.rules.push({ match: bodyOf(layer), corruptAt, times: 1 });
    const answer = await rig.filler.open('f6/row', digestOf(layer), 'on-demand');
    if (answer.kind !== 'found') throw new Error(answer.kind);
    await answer.value.ended;
    outcomes.push(answer.value.state);
    await answer.value.release();
    await waitFor(() => rig.spool.used === 0, { what: 'the fill to be forgotten' });
  }
  expect(outcomes).toEqual(['failed', 'whole', 'failed', 'whole']);
});

test('a blob that was wrong twice is asked for again after a while', async () => {
  await using sites = await disposable(startRigSites());
  await using rig = await createRig(sites, { filler: { corruptFor: scaled(1_000) }, store: { pauses: [0] } });
  const layer = blob(10_000, 'corrupt for a while');
  await pushBlob(sites.primaryTarget('f6/while'), layer);
  sites.relay.rules.push({ match: bodyOf(layer), corruptAt: 5, times: 2 });
  const fill = (): ReturnType<typeof rig.filler.fill> => rig.filler.fill('f6/while', digestOf(layer), 'background');
  expect([await fill(), await fill()]).toMatchObject([{ kind: 'unavailable' }, { kind: 'unavailable' }]);
  expect(await fill()).toEqual({ kind: 'corrupt' });
  await waitFor(async () => (await fill()).kind === 'found', { what: 'the blob to be asked for again' });
  expect(sites.relay.count(bodyOf(layer))).toBe(3);
});

const lastChunk = Buffer.from('0\r\n\r\n');

test('without a length a right body ends with the last chunk, a wrong one without', async () => {
  const [right, wrong] = [await pushed('chunked, right'), await pushed('chunked, wrong')];
  site.relay.rules.push({ match: bodyOf(wrong), chunked: true, ignoreRange: true, corruptAt: 2 * MiB - 1 });
  site.relay.rules.push({ match: bodyOf(right), chunked: true, ignoreRange: true });
  const close = { connection: 'close' };
  const answers = await Promise.all([right, wrong].map((layer) => rawClient(site, pathOf(layer), close).untilClosed()));
  for (const answer of answers) {
    expect(answer.subarray(0, 2_000).toString('latin1')).toMatch(
      /^HTTP\/1.1 200 OK\r\n(?:.+\r\n)*transfer-encoding: chunked/i,
    );
  }
  expect(answers.map((answer) => answer.subarray(-lastChunk.length).equals(lastChunk))).toEqual([true, false]);
});

describe('an empty blob', () => {
  const empty = blob('');

  test('is served when it is right', async () => {
    await pushBlob(site.primaryTarget('f6/empty'), empty);
    const answer = await site.ask(`f6/empty/blobs/${empty.digest}`);
    expect(answer).toMatchObject({ status: 200, headers: { 'content-length': '0' } });
    await untilStored(site, 'f6/empty', empty);
  });

  test('is a 502 when it should not be empty', async () => {
    const layer = blob(100, 'should not be empty');
    site.relay.rules.push({ match: bodyOf(layer), answer: { status: 200, body: '' } });
    expect(await site.ask(pathOf(layer))).toMatchObject({ status: 502, code: 'UNKNOWN' });
    expect(await isStored(site, 'f6/app', layer)).toBe(false);
  });

  test('is never complete when it is not empty', async () => {
    const other = blob('', 0, 'sha512');
    site.relay.rules.push({ match: bodyOf(other), answer: { status: 200, body: 'x' } });
    expect(isRefused(await pull(other))).toBe(true);
  });

  test('has no ranges', async () => {
    await pushBlob(site.primaryTarget('f6/range'), empty);
    const answer = await site.ask(`f6/range/blobs/${empty.digest}`, { headers: { range: 'bytes=0-0' } });
    expect(answer).toMatchObject({ status: 416, headers: { 'content-range': 'bytes */0' } });
  });
});

test('headers are no proof: what counts is the digest that was asked for', async () => {
  const [layer, other] = [await pushed('headers lie'), blob(2 * MiB, 'other bytes')];
  const says: RelayMatch = bodyOf(layer);
  const headers = { 'docker-content-digest': layer.digest, etag: `"${layer.digest}"` };
  site.relay.rules.push({ match: says, answer: { status: 200, headers, body: other.bytes }, times: 1 });
  expect(await pull(layer)).toMatchObject({ whole: false });
  site.relay.rules.push({ match: says, setHeaders: { 'docker-content-digest': other.digest, etag: '"x"' } });
  expect(await pull(layer)).toMatchObject({
    whole: true,
    digest: layer.digest,
    headers: { etag: `"${layer.digest}"` },
  });
});

async function disposable<T extends { close(): Promise<void> }>(making: Promise<T>): Promise<T & AsyncDisposable> {
  const made = await making;
  return Object.assign(made, { [Symbol.asyncDispose]: () => made.close() });
}
