// Local blobs read from the registry's files: the registry is not asked, and a file that lies does no harm.
import { readdir, readlink, rm, truncate, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { blob, largeBlob, type Blob, type SmallBlob } from '../support/content.ts';
import { manifest } from '../support/image.ts';
import { startProxySite, type Answer, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { blobsDirectory } from '../support/registry.ts';
import { waitFor } from '../support/tool.ts';
import { calm, pushToBoth } from './local-copy.ts';

const MiB = 1024 * 1024;
let site: ProxySite;
let name: string;
let layer: SmallBlob;
let count = 0;

beforeAll(async () => {
  site = await startProxySite({
    env: async ({ secondary }) => {
      await blobsDirectory(secondary.dir);
      return { GEO_SECONDARY_ROOT: secondary.dir };
    },
  });
});
beforeEach(() => {
  name = `file/no${(count += 1)}`;
  layer = blob(3_000_000, name);
});
afterEach(() => calm(site));
afterAll(() => site.close());

const ask = (headers: Record<string, string> = {}): Promise<Answer> =>
  site.ask(`${name}/blobs/${layer.digest}`, { headers });
const asked = (): number => site.localRelay.count(({ path }) => path.includes('/blobs/'));

async function atBoth(content: Blob = layer): Promise<void> {
  await pushBlob(site.primaryTarget(name), content);
  await pushBlob(site.secondaryTarget(name), content);
}

/** At both, and its size is known. */
async function known(content: Blob = layer): Promise<void> {
  await pushToBoth(site, name, 'v1', manifest({ layers: [content] }));
  expect((await site.ask(`${name}/manifests/v1`)).status).toBe(200);
  site.relay.reset();
  site.localRelay.reset();
}

function expectWhole({ status, headers, body }: Answer): void {
  expect(status).toBe(200);
  expect(headers).toMatchObject({
    'accept-ranges': 'bytes',
    'cache-control': 'private',
    'content-type': 'application/octet-stream',
    'docker-content-digest': layer.digest,
    etag: `"${layer.digest}"`,
  });
  expect(body.equals(layer.bytes)).toBe(true);
}

function expectPart({ status, headers, body }: Answer, first: number, last: number): void {
  expect({ status, range: headers['content-range'] }).toEqual({
    status: 206,
    range: `bytes ${first}-${last}/${layer.size}`,
  });
  expect(body.equals(layer.bytes.subarray(first, last + 1))).toBe(true);
}

/** Whether this process, the proxy, has the blob's file open. */
async function isOpen(digest: string): Promise<boolean> {
  const links = (await readdir('/proc/self/fd')).map((fd) => readlink(join('/proc/self/fd', fd)).catch(() => ''));
  return (await Promise.all(links)).some((path) => path.includes(digest.slice(7)));
}

test.each([
  { size: 0, what: 'empty' },
  { size: 1, what: 'tiny' },
  { size: MiB, what: 'as large as one read' },
  { size: 2 * MiB + 1, what: 'of several reads' },
])('a blob that is $what comes whole and in parts, known or not, and nobody is asked', async ({ size }) => {
  layer = blob(size, name);
  await atBoth();
  for (const _time of ['its size is not known', 'it is']) {
    expectWhole(await ask());
    if (size > 0) expectPart(await ask({ range: 'bytes=-1' }), size - 1, size - 1);
  }
  expect((await ask()).headers['content-length']).toBe(String(size));
  expect([asked(), site.relay.count()]).toEqual([0, 0]);
});

test.each([
  ['bytes=0-9', 0, 9],
  ['bytes=1048570-2097160', 1_048_570, 2_097_160],
  ['bytes=2999990-', 2_999_990, 2_999_999],
  ['bytes=5-999999999', 5, 2_999_999],
])('the part %s', async (range, first, last) => {
  await known();
  expectPart(await ask({ range }), first, last);
  expect([asked(), site.relay.count()]).toEqual([0, 0]);
});

test.each(['bytes=3000000-', 'bytes=-0'])('416 of ours for %s', async (range) => {
  await atBoth();
  const { status, code, headers } = await ask({ range });
  expect({ status, code, range: headers['content-range'] }).toEqual({
    status: 416,
    code: 'RANGE_INVALID',
    range: `bytes */${layer.size}`,
  });
  await waitFor(async () => !(await isOpen(layer.digest)), { what: 'the file to be closed' });
});

test('a registry that is down is not missed, by HEAD neither', async () => {
  await known();
  await site.localRelay.down();
  await site.relay.down();
  expectWhole(await ask());
  const { status, headers } = await site.ask(`${name}/blobs/${layer.digest}`, { method: 'HEAD' });
  expect({ status, length: headers['content-length'] }).toEqual({ status: 200, length: String(layer.size) });
});

test('a blob of another repository, and a manifest, are not here', async () => {
  await known();
  await pushBlob(site.primaryTarget('file/another'), blob(10, 'another'));
  expect((await site.ask(`file/another/blobs/${layer.digest}`)).status).toBe(404);
  expect((await site.ask(`${name}/blobs/${manifest({ layers: [layer] }).digest}`)).status).toBe(404);
});

test.each(['gone', 'nonsense', 'another digest', 'a path'])('a link that is %s is no link', async (what) => {
  await atBoth();
  const link = join(
    site.secondary.dir,
    'docker/registry/v2/repositories',
    name,
    '_layers/sha256',
    layer.digest.slice(7),
    'link',
  );
  const other = blob(100, 'other');
  await pushBlob(site.secondaryTarget(name), other);
  if (what === 'gone') await rm(link);
  if (what === 'nonsense') await writeFile(link, 'nonsense');
  if (what === 'another digest') await writeFile(link, other.digest);
  if (what === 'a path') await writeFile(link, '../../../../../../etc/passwd');
  expect((await ask()).body.equals(layer.bytes)).toBe(true);
  expect(site.relay.count()).toBeGreaterThan(0);
});

function expectDamageTold(): void {
  const lines = site.log.filter((line) => JSON.stringify(line).includes(layer.digest.slice(7)));
  expect(lines.map((line) => line['msg'])).toContain('local blob is damaged; clients get it from the primary');
}

describe('a file that is short', () => {
  test.each([true, false])('is continued from the primary in the same answer, its size known: %s', async (isKnown) => {
    await (isKnown ? known() : atBoth());
    await truncate(site.secondary.blobFile(layer.digest), 1_200_000);
    expectWhole(await ask());
    expectWhole(await ask());
    expectDamageTold();
    expect(site.relay.count()).toBeGreaterThan(0);
  });

  test.each(['bytes=1000000-1999999', 'bytes=-5', 'bytes=2000000-'])(
    'gives the part %s all the same',
    async (range) => {
      await known();
      await truncate(site.secondary.blobFile(layer.digest), 1_200_000);
      const { status, body } = await ask({ range });
      const [first, last] = { 'bytes=1000000-1999999': [1_000_000, 1_999_999], 'bytes=-5': [2_999_995, 2_999_999] }[
        range
      ] ?? [2_000_000, 2_999_999];
      expect({ status, same: body.equals(layer.bytes.subarray(first, last! + 1)) }).toEqual({
        status: 206,
        same: true,
      });
    },
  );

  test('and becomes so while it is read', async () => {
    const large = await largeBlob(64 * MiB, name);
    await known(large);
    const { body } = await site.open(`${name}/blobs/${large.digest}`);
    await once(body, 'readable');
    await truncate(site.secondary.blobFile(large.digest), 24 * MiB);
    const hash = createHash('sha256');
    for await (const chunk of body as AsyncIterable<Buffer>) hash.update(chunk);
    expect(`sha256:${hash.digest('hex')}`).toBe(large.digest);
    expect(site.relay.bodyBytes()).toBeGreaterThan(0);
    expect(site.relay.bodyBytes()).toBeLessThanOrEqual(40 * MiB);
  });

  test('and is whole again is believed again', async () => {
    await known();
    const file = site.secondary.blobFile(layer.digest);
    await truncate(file, 1_200_000);
    expectWhole(await ask());
    expectDamageTold();
    await writeFile(file, layer.bytes);
    await waitFor(
      async () => {
        await ask();
        return site.log.some((line) => line['digest'] === layer.digest && line['msg'] === 'local blob is whole again');
      },
      { what: 'the second look' },
    );
    site.relay.reset();
    expectWhole(await ask());
    expect(site.relay.count()).toBe(0);
  });

  test('or holds other bytes never looks complete where nobody knows it', async () => {
    await atBoth();
    await writeFile(site.secondary.blobFile(layer.digest), blob(layer.size, 'other').bytes);
    await expect(ask()).rejects.toThrow();
    expectWhole(await ask());
  });
});

test('a file that is gone is a miss', async () => {
  await known();
  await rm(dirname(site.secondary.blobFile(layer.digest)), { recursive: true });
  expectWhole(await ask());
});

test.each([true, false])('a client that leaves closes the file, its size known: %s', async (isKnown) => {
  const large = await largeBlob(64 * MiB, name);
  await (isKnown ? known(large) : atBoth(large));
  const { headers, body } = await site.open(`${name}/blobs/${large.digest}`);
  expect(headers['content-length']).toBe(isKnown ? String(large.size) : undefined);
  await once(body, 'readable');
  expect(await isOpen(large.digest)).toBe(true);
  body.on('error', () => undefined).destroy();
  await waitFor(async () => !(await isOpen(large.digest)), { what: 'the file to be closed' });
});

test('a registry with a database is no registry whose files tell', async () => {
  await known();
  site.localRelay.rules.push({
    match: ({ path }) => path === '/v2/',
    setHeaders: { 'gitlab-container-registry-database-enabled': 'true' },
  });
  await expect(site.restart()).rejects.toThrow(/^GEO_SECONDARY_ROOT: the local registry keeps in a database/);
  site.localRelay.reset();
  await site.localRelay.down();
  await site.restart();
  // Nobody knows yet: the files are not used.
  await site.localRelay.up();
  expectWhole(await ask());
});
