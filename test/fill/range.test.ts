// F7: a part of a blob that is not here comes from the fill where that is near, else straight from the primary.
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { blob, type SmallBlob } from '../support/content.ts';
import { startProxySite, type Answer, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { createGate, type Gate } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf, download, firstByteOf, isFromStart } from './download.ts';
import { untilStored } from './secondary.ts';

const MiB = 1024 * 1024;
const SIZE = 20 * MiB;

let site: ProxySite;

beforeAll(async () => {
  site = await startProxySite();
});
afterEach(() => {
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(() => site.close());

const isRange: RelayMatch = (request) => !isFromStart(request);

/** A blob of which the first MiB is here and the rest waits for the gate. */
async function held(seed: string): Promise<{ layer: SmallBlob; holdGate: Gate }> {
  const layer = blob(SIZE, seed);
  await pushBlob(site.primaryTarget('f7/app'), layer);
  const holdGate = createGate();
  onTestFinished(() => holdGate.open());
  const match: RelayMatch = (request) => bodyOf(layer)(request) && !isRange(request);
  site.relay.rules.push({ match, holdAfter: MiB, holdGate });
  return { layer, holdGate };
}

const part = (layer: SmallBlob, range: string): Promise<Answer> =>
  site.ask(`f7/app/blobs/${layer.digest}`, { headers: { range } });

function expectPart(answer: Answer, layer: SmallBlob, start: number, end: number): void {
  expect(answer).toMatchObject({
    status: 206,
    headers: {
      'content-range': `bytes ${start}-${end}/${layer.size}`,
      'content-length': String(end + 1 - start),
      'docker-content-digest': layer.digest,
      'cache-control': 'private',
    },
  });
  expect(answer.body.equals(layer.bytes.subarray(start, end + 1))).toBe(true);
}

test('a part begins a fill for the whole blob, which is stored', async () => {
  const { layer, holdGate } = await held('begins a fill');
  holdGate.open();
  expectPart(await part(layer, 'bytes=0-99'), layer, 0, 99);
  await untilStored(site, 'f7/app', layer);
  expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
});

test('a part that is near what is there waits for it and costs no request', async () => {
  const { layer, holdGate } = await held('near');
  const whole = download(site, `f7/app/blobs/${layer.digest}`);
  await waitFor(() => holdGate.arrived === 1, { what: 'the first MiB' });
  const near = part(layer, `bytes=${5 * MiB}-${5 * MiB + 99}`);
  await waitFor(() => site.localRelay.count(isRange) === 1, { what: 'the second client' });
  holdGate.open();
  expectPart(await near, layer, 5 * MiB, 5 * MiB + 99);
  expect(await whole).toMatchObject({ digest: layer.digest, whole: true });
  // Its own request would have begun there.
  expect(site.relay.requests.filter(isRange).map(firstByteOf)).toEqual([8 * MiB]);
  expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
});

test.each([
  ['in its middle', `bytes=${16 * MiB}-${16 * MiB + 999}`, 16 * MiB, 16 * MiB + 999],
  ['to its end', `bytes=${SIZE - 50}-`, SIZE - 50, SIZE - 1],
  ['beyond its end', `bytes=${SIZE - 50}-${SIZE + 50}`, SIZE - 50, SIZE - 1],
  ['from behind', 'bytes=-777', SIZE - 777, SIZE - 1],
])(
  'a part far from what is there, %s, comes from the primary while the fill goes on',
  async (what, range, start, end) => {
    const { layer, holdGate } = await held(what);
    expectPart(await part(layer, range), layer, start, end);
    expect(site.relay.requests.filter(isRange).map(({ headers }) => headers.range)).toEqual([`bytes=${start}-${end}`]);
    holdGate.open();
    await untilStored(site, 'f7/app', layer);
    expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size + end + 1 - start);
  },
);

test('a far part that is cut is resumed', async () => {
  const { layer } = await held('far and cut');
  const [start, end] = [10 * MiB, 14 * MiB];
  site.relay.rules.push({ match: isRange, cutAfter: MiB, times: 1 });
  expectPart(await part(layer, `bytes=${start}-${end}`), layer, start, end);
  expect(site.relay.count(isRange)).toBe(2);
});

test('a far part of a registry that ignores Range is waited for', async () => {
  const { layer, holdGate } = await held('ignores ranges');
  site.relay.rules.push({ match: isRange, ignoreRange: true });
  const far = part(layer, `bytes=${16 * MiB}-${16 * MiB + 9}`);
  // Of fills, this one and the one of the test before, there may be others.
  const isFar: RelayMatch = (request) => bodyOf(layer)(request) && firstByteOf(request) === 16 * MiB;
  await waitFor(() => site.relay.count(isFar) === 1, { what: 'the request for the part' });
  holdGate.open();
  expectPart(await far, layer, 16 * MiB, 16 * MiB + 9);
});

test('a part behind the end is our own 416, and the fill goes on', async () => {
  const { layer, holdGate } = await held('behind the end');
  const answer = await part(layer, `bytes=${SIZE}-`);
  expect(answer).toMatchObject({
    status: 416,
    code: 'RANGE_INVALID',
    headers: { 'content-range': `bytes */${SIZE}`, 'content-length': String(answer.body.length) },
  });
  holdGate.open();
  await untilStored(site, 'f7/app', layer);
});

test.each(['bytes=a-b', 'bytes=0-1,5-6', 'lines=1-2', 'bytes='])('%s is answered with the whole', async (range) => {
  const layer = blob(10_000, range);
  await pushBlob(site.primaryTarget('f7/app'), layer);
  const answer = await part(layer, range);
  expect(answer).toMatchObject({ status: 200, headers: { 'content-length': '10000' } });
  expect(answer.body.equals(layer.bytes)).toBe(true);
});

test('the parts that a client asks for one after the other make the blob', async () => {
  const layer = blob(3 * MiB, 'parts');
  await pushBlob(site.primaryTarget('f7/app'), layer);
  const ends = [0, 1_000_000, 2_000_000, layer.size];
  const parts = ends.slice(1).map((end, nth) => part(layer, `bytes=${ends[nth]}-${end - 1}`));
  const bytes = Buffer.concat((await Promise.all(parts)).map(({ body }) => body));
  expect(bytes.equals(layer.bytes)).toBe(true);
  expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
});
