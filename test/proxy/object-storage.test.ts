// A local registry that redirects to its object storage: what a client is sent there for, and what it gets through us.
import { rm, truncate, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob, type SmallBlob } from '../support/content.ts';
import { manifest } from '../support/image.ts';
import { startObjectStorage, type ObjectStorage } from '../support/object-storage.ts';
import { startProxySite, type Answer, type Asking, type ProxySite } from '../support/proxy.ts';
import { waitFor } from '../support/tool.ts';
import { calm, pushToBoth } from './local-copy.ts';

let site: ProxySite;
let storage: ObjectStorage;
beforeAll(async () => {
  storage = await startObjectStorage();
  // It remembers descriptors: what it redirects for may be gone.
  site = await startProxySite({ secondary: { redirectTo: storage.url, descriptorCache: 'inmemory' } });
  storage.root = site.secondary.dir;
});
afterEach(async () => {
  await storage.up();
  storage.faults.length = 0;
  site.log.length = 0;
  await calm(site);
  storage.asked.length = 0;
});
afterAll(async () => {
  await site.close();
  await storage.close();
});

const [small, large] = [40_000, 1_500_000];
let count = 0;

/** A blob of an image that both sites have, whose manifest was pulled. */
async function placed(size: number): Promise<{ path: string; layer: SmallBlob; file: string }> {
  const name = `bucket/no${(count += 1)}`;
  const layer = blob(size, name);
  await pushToBoth(site, name, 'v1', manifest({ layers: [layer] }));
  expect((await site.ask(`${name}/manifests/v1`)).status).toBe(200);
  site.relay.reset();
  storage.asked.length = 0;
  return { path: `${name}/blobs/${layer.digest}`, layer, file: site.secondary.blobFile(layer.digest) };
}

/** As a client does that follows redirects. */
async function pull(path: string, asking?: Asking): Promise<Answer | { status: number; body: Buffer; headers: {} }> {
  const answer = await site.ask(path, asking);
  if (answer.status !== 307) return answer;
  const response = await fetch(answer.headers['location']!, { headers: asking?.headers ?? {} });
  return { status: response.status, body: Buffer.from(await response.arrayBuffer()), headers: {} };
}

const ofLayer =
  ({ digest }: SmallBlob) =>
  ({ path }: { path: string }) =>
    path.includes(digest);

describe.each([small, large])('a blob of %i bytes in the storage', (size) => {
  test('is looked at once, and clients are sent there', async () => {
    const { path, layer } = await placed(size);
    for (let pulls = 0; pulls < 3; pulls += 1) {
      expect((await site.ask(path)).status).toBe(307);
      expect((await site.ask(path, { headers: { range: 'bytes=5-' } })).status).toBe(307);
    }
    // One that is small is read once, before anybody is sent there.
    const looks = size === small ? ['bytes=0-0', undefined] : ['bytes=0-0'];
    expect(storage.asked.map(({ headers }) => headers.range)).toEqual(looks);
    expect((await pull(path)).body.equals(layer.bytes)).toBe(true);
    expect(site.relay.count()).toBe(0);
  });

  test.each([
    ['cut short', (file: string) => truncate(file, 1_000)],
    ['empty', (file: string) => truncate(file, 0)],
    ['gone', (file: string) => rm(file)],
  ])('that is %s there comes from the primary', async (_what, damage) => {
    const { path, layer, file } = await placed(size);
    await damage(file);
    // What is gone is brought again meanwhile.
    for (const asking of [{}, { headers: { range: 'bytes=2000-' } }]) {
      const answer = await pull(path, asking);
      expect(answer.status).toBe('headers' in asking ? 206 : 200);
      expect(answer.body.equals(layer.bytes.subarray('headers' in asking ? 2_000 : 0))).toBe(true);
    }
    expect((await site.ask(path, { method: 'HEAD' })).headers['content-length']).toBe(String(size));
    expect(site.relay.count(ofLayer(layer))).toBeGreaterThan(0);
  });

  test('that the storage does not give now comes from the primary', async () => {
    const { path, layer } = await placed(size);
    // It has answered before.
    expect((await site.ask((await placed(small)).path)).status).toBe(307);
    for (const status of [403, 500, 503]) {
      storage.faults.push({ status });
      const answer = await site.ask(path);
      expect({ status: answer.status, isWhole: answer.body.equals(layer.bytes) }).toEqual({
        status: 200,
        isWhole: true,
      });
      storage.faults.length = 0;
    }
    expect(await site.metric('breaker_open')).toBe(0);
  });

  test('a HEAD is answered with its size', async () => {
    const { path } = await placed(size);
    const { status, headers } = await site.ask(path, { method: 'HEAD' });
    expect({ status, length: headers['content-length'] }).toEqual({ status: 200, length: String(size) });
    storage.faults.push({ ignoreRange: true });
    expect((await site.ask(path, { method: 'HEAD' })).headers['content-length']).toBe(String(size));
    expect(storage.asked.map(({ method }) => method)).not.toContain('HEAD');
    storage.faults.length = 0;
    storage.faults.push({ status: 403 });
    expect((await site.ask(path, { method: 'HEAD' })).headers['content-length']).toBe(String(size));
    expect(site.relay.count()).toBe(1);
  });
});

test('other bytes of the right length are found before a client is sent to a small one', async () => {
  const { path, layer, file } = await placed(small);
  await writeFile(file, blob(layer.size, 'other').bytes);
  expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
});

test('an empty blob is one', async () => {
  const { path, layer } = await placed(0);
  expect((await pull(path)).body.equals(layer.bytes)).toBe(true);
  expect((await site.ask(path, { method: 'HEAD' })).headers['content-length']).toBe('0');
});

test('while a storage is down its blobs come from the primary, and while that is away clients are sent on', async () => {
  const [one, two] = [await placed(large), await placed(large)];
  expect((await site.ask(one.path)).status).toBe(307);
  await storage.down();
  const answer = await site.ask(two.path);
  expect({ status: answer.status, isWhole: answer.body.equals(two.layer.bytes) }).toEqual({
    status: 200,
    isWhole: true,
  });
  const three = await placed(large);
  await site.relay.down();
  await waitFor(
    async () => {
      await site.ask(`bucket/other/manifests/v${(count += 1)}`);
      return (await site.metric('breaker_open', { registry: 'primary' })) === 1;
    },
    { what: 'the breaker' },
  );
  expect((await site.ask(three.path)).status).toBe(307);
  await site.restart();
});

describe('where only the proxy reaches the storage', () => {
  beforeAll(() => site.restart({ GEO_SECONDARY_REDIRECT: 'stream' }));
  afterAll(() => site.restart());

  test.each([small, large])('a blob of %i bytes comes through it', async (size) => {
    const { path, layer } = await placed(size);
    const { status, headers, body } = await site.ask(path);
    expect({ status, length: headers['content-length'] }).toEqual({ status: 200, length: String(size) });
    expect(headers).toMatchObject({ 'docker-content-digest': layer.digest, 'cache-control': 'private' });
    expect(headers).not.toHaveProperty('location');
    expect(body.equals(layer.bytes)).toBe(true);
    for (const { headers: asked } of storage.asked) expect(asked).not.toHaveProperty('authorization');
    expect(site.relay.count()).toBe(0);
  });

  test.each([
    ['bytes=0-9', 0, 10],
    ['bytes=100-', 100, large],
    ['bytes=-7', large - 7, large],
    ['bytes=0-', 0, large],
  ])('so does %s', async (range, start, end) => {
    const { path, layer } = await placed(large);
    const { status, headers, body } = await site.ask(path, { headers: { range } });
    expect(status).toBe(206);
    expect(headers['content-range']).toBe(`bytes ${start}-${end - 1}/${large}`);
    expect(body.equals(layer.bytes.subarray(start, end))).toBe(true);
    expect(site.relay.count()).toBe(0);
  });

  test('a range that is not in it is our own 416', async () => {
    const { path } = await placed(large);
    const { status, headers } = await site.ask(path, { headers: { range: `bytes=${large}-` } });
    expect({ status, range: headers['content-range'] }).toEqual({ status: 416, range: `bytes */${large}` });
  });

  test('a storage that ignores ranges gives all of it', async () => {
    const { path, layer } = await placed(large);
    storage.faults.push({ ignoreRange: true });
    const { status, body } = await site.ask(path, { headers: { range: 'bytes=5-9' } });
    expect({ status, isWhole: body.equals(layer.bytes) }).toEqual({ status: 200, isWhole: true });
  });

  test('what breaks off, or is short, is continued from the primary in the same answer', async () => {
    const [cut, short] = [await placed(large), await placed(large)];
    storage.faults.push({ cutAfter: 500_000, times: 1 });
    expect((await site.ask(cut.path)).body.equals(cut.layer.bytes)).toBe(true);
    await truncate(short.file, 400_000);
    expect((await site.ask(short.path)).body.equals(short.layer.bytes)).toBe(true);
  });

  test('flipped bits of a large one end no answer, and the next one is the primary’s', async () => {
    const { path, layer, file } = await placed(large);
    await writeFile(file, blob(layer.size, 'other').bytes);
    await expect(site.ask(path)).rejects.toThrow();
    expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
  });

  test.each([403, 404, 500, 503])('a storage that answers %i is no reason for a client', async (status) => {
    const { path, layer } = await placed(large);
    storage.faults.push({ status });
    const answer = await site.ask(path);
    expect({ status: answer.status, isWhole: answer.body.equals(layer.bytes) }).toEqual({ status: 200, isWhole: true });
    expect(await site.metric('breaker_open')).toBe(0);
  });

  test('nor is one that is down', async () => {
    const { path, layer } = await placed(large);
    await storage.down();
    const answer = await site.ask(path);
    expect({ status: answer.status, isWhole: answer.body.equals(layer.bytes) }).toEqual({ status: 200, isWhole: true });
    expect((await site.ask(path, { method: 'HEAD' })).headers['content-length']).toBe(String(large));
  });
});

describe('a storage that only clients reach', () => {
  test('is where they are sent, and the log tells once', async () => {
    const [one, two] = [await placed(large), await placed(large)];
    await storage.down();
    await site.restart();
    for (const { path } of [one, two, one]) expect((await site.ask(path)).status).toBe(307);
    const lines = site.log.filter(({ msg }) => /is not reached from here/.test(String(msg)));
    expect(lines).toMatchObject([{ storage: storage.url }]);
    expect(site.relay.count()).toBe(0);
  });
});
