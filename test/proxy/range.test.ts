// Parts of blobs and conditions on them, on hits and misses alike; 416 is our own, registries' are malformed.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { blob, type SmallBlob } from '../support/content.ts';
import { image } from '../support/image.ts';
import { startProxySite, type Answer, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { isFromStart } from '../fill/download.ts';
import { calm, pushToBoth } from './local-copy.ts';
import { waitFor } from '../support/tool.ts';

let site: ProxySite;
let name: string;
let layer: SmallBlob;
let count = 0;

beforeAll(async () => {
  site = await startProxySite();
});
beforeEach(() => {
  name = `range/no${(count += 1)}`;
  layer = blob(100_000, name);
});
afterEach(() => calm(site));
afterAll(() => site.close());

const ask = (headers: Record<string, string>, method: 'GET' | 'HEAD' = 'GET'): Promise<Answer> =>
  site.ask(`${name}/blobs/${layer.digest}`, { method, headers });

const spans = [
  ['bytes=0-0', 0, 0],
  ['bytes=10-19', 10, 19],
  ['bytes=99999-99999', 99_999, 99_999],
  ['bytes=50000-', 50_000, 99_999],
  ['bytes=50000-100000000', 50_000, 99_999],
  ['bytes=-1', 99_999, 99_999],
  ['bytes=-30', 99_970, 99_999],
  ['bytes=-1000000', 0, 99_999],
] as const;

describe.each(['a hit', 'a miss'])('on %s', (what) => {
  beforeEach(async () => {
    await pushBlob(site.primaryTarget(name), layer);
    if (what === 'a hit') await pushBlob(site.secondaryTarget(name), layer);
  });
  afterEach(() => {
    if (what === 'a hit') expect(site.relay.count()).toBe(0);
  });

  test.each(spans)('%s', async (range, first, last) => {
    const { status, headers, body } = await ask({ range });
    expect({ status, range: headers['content-range'], length: headers['content-length'] }).toEqual({
      status: 206,
      range: `bytes ${first}-${last}/${layer.size}`,
      length: String(last - first + 1),
    });
    expect(headers['cache-control']).toBe('private');
    expect(headers['docker-content-digest']).toBe(layer.digest);
    expect(body.equals(layer.bytes.subarray(first, last + 1))).toBe(true);
  });

  test.each(['bytes=100000-', 'bytes=100000-100001', 'bytes=999999999-', 'bytes=-0', 'bytes=500-0'])(
    '%s is our 416',
    async (range) => {
      const { status, code, headers } = await ask({ range });
      expect({ status, code, range: headers['content-range'] }).toEqual({
        status: 416,
        code: 'RANGE_INVALID',
        range: `bytes */${layer.size}`,
      });
      expect(Number(headers['content-length'])).toBeLessThan(1_000);
    },
  );

  test.each(['bytes=0-1,5-6', 'bytes=a-b', 'bytes', 'items=0-1', 'bytes=', ''])(
    'the range "%s", which may be ignored, is',
    async (range) => {
      const { status, body } = await ask({ range });
      expect(status).toBe(200);
      expect(body.equals(layer.bytes)).toBe(true);
    },
  );

  test('If-Range of this content keeps the range, of other content it does not', async () => {
    const same = await ask({ range: 'bytes=0-9', 'if-range': `"${layer.digest}"` });
    expect(same.status).toBe(206);
    const other = await ask({ range: 'bytes=0-9', 'if-range': '"other"' });
    expect({ status: other.status, length: other.body.length }).toEqual({ status: 200, length: layer.size });
  });

  test.each([(tag: string) => `"${tag}"`, (tag: string) => `W/"${tag}"`, (tag: string) => `"x", "${tag}"`, () => '*'])(
    'If-None-Match of it is 304',
    async (form) => {
      const { status, headers, body } = await ask({ 'if-none-match': form(layer.digest) });
      expect({ status, body: body.length }).toEqual({ status: 304, body: 0 });
      expect(headers).toMatchObject({ 'cache-control': 'private', etag: `"${layer.digest}"` });
      const flights = await site.metric('flights_total');
      expect((await ask({ 'if-none-match': form(layer.digest) }, 'HEAD')).status).toBe(304);
      expect(await site.metric('flights_total')).toBe(flights);
    },
  );

  test('If-None-Match of other content is the content', async () => {
    expect((await ask({ 'if-none-match': '"sha256:0"' })).status).toBe(200);
  });
});

test('If-None-Match of what is not in this repository is no 304', async () => {
  expect((await ask({ 'if-none-match': `"${layer.digest}"` })).status).toBe(404);
});

test.each(['GET', 'HEAD'] as const)('%s of a manifest with If-None-Match is 304', async (method) => {
  const pushed = image(name);
  await pushToBoth(site, name, 'v1', pushed);
  for (const reference of ['v1', pushed.digest]) {
    const answer = await site.ask(`${name}/manifests/${reference}`, {
      method,
      headers: { 'if-none-match': `"${pushed.digest}"` },
    });
    expect({ status: answer.status, length: answer.body.length }).toEqual({ status: 304, length: 0 });
    expect(answer.headers).toMatchObject({ 'cache-control': 'private', etag: `"${pushed.digest}"` });
  }
});

describe('far beyond what has come so far', () => {
  const size = 20 * 1024 * 1024;

  /** A flight of the blob that has brought its first MiB and waits. */
  async function heldFlight() {
    layer = blob(size, name);
    await pushBlob(site.primaryTarget(name), layer);
    const gate = createGate();
    const isWhole: RelayMatch = (request) => request.path.includes(layer.digest) && isFromStart(request);
    site.relay.rules.push({ match: isWhole, holdAfter: 1024 * 1024, holdGate: gate });
    const whole = ask({});
    await waitFor(() => gate.arrived === 1, { what: 'the blob at the gate' });
    return { gate, whole };
  }

  test('a part comes straight from the primary, while the flight goes on', async () => {
    const before = await site.metric('primary_body_bytes_total');
    const { gate, whole } = await heldFlight();
    const { status, body } = await ask({ range: 'bytes=-1000' });
    expect({ status, same: body.equals(layer.bytes.subarray(size - 1000)) }).toEqual({ status: 206, same: true });
    gate.open();
    expect((await whole).body.equals(layer.bytes)).toBe(true);
    expect(site.relay.bodyBytes(({ path }) => path.includes(layer.digest))).toBe(size + 1000);
    expect((await site.metric('primary_body_bytes_total')) - before).toBe(size + 1000);
  });

  test('many parts leave connections for others, and all are right in the end', async () => {
    const { gate, whole } = await heldFlight();
    const starts = Array.from({ length: 12 }, (_, nth) => size - (nth + 1) * 100_000);
    const parts = starts.map((start) => ask({ range: `bytes=${start}-${start + 99}` }));
    gate.open();
    for (const [nth, { status, body }] of (await Promise.all(parts)).entries()) {
      expect(status).toBe(206);
      expect(body.equals(layer.bytes.subarray(starts[nth]!, starts[nth]! + 100))).toBe(true);
    }
    expect((await whole).body.equals(layer.bytes)).toBe(true);
  });

  test('a primary that ignores ranges serves it by the flight', async () => {
    const { gate, whole } = await heldFlight();
    site.relay.rules.unshift({ match: (request) => !isFromStart(request), ignoreRange: true, times: 1 });
    const part = ask({ range: 'bytes=-1000' });
    await waitFor(() => site.relay.count((request) => !isFromStart(request)) === 1, {
      what: 'the part at the primary',
    });
    gate.open();
    expect((await part).body.equals(layer.bytes.subarray(size - 1000))).toBe(true);
    await whole;
  });
});
