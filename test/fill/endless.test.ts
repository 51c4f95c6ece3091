// Blobs that are longer than they can be: they end at the size that is known, and nothing of them stays in the secondary.
import { readdir, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { blob, type SmallBlob } from '../support/content.ts';
import { manifest, type Manifest } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { waitFor } from '../support/tool.ts';
import { download } from './download.ts';
import { isStored, untilStored } from './secondary.ts';

const MiB = 1024 * 1024;
const SPOOL_MAX = 4 * MiB;
const BLOB_MAX = 12 * MiB;
// What the sockets and buffers between the primary and us may hold.
const ON_THE_WAY = 12 * MiB;

/** How a blob is answered. */
type Answering = (request: IncomingMessage, response: ServerResponse) => void;

/** A primary that says of blobs what a test wants. */
const blobs = new Map<string, Answering>();
const manifests = new Map<string, Manifest>();
let sent = 0;
let open = 0;

const primary = createServer((request, response) => {
  const last = request.url!.split('/').at(-1)!;
  const known = manifests.get(last);
  if (known) {
    response.setHeader('content-type', known.mediaType);
    response.setHeader('docker-content-digest', known.digest);
    return void response.end(request.method === 'HEAD' ? undefined : known.bytes);
  }
  const answering = blobs.get(last);
  if (answering) return answering(request, response);
  response.statusCode = request.url === '/v2/' ? 200 : 404;
  response.setHeader('content-type', 'application/json');
  response.end(request.url === '/v2/' ? '{}' : '{"errors":[{"code":"BLOB_UNKNOWN"}]}');
});

let site: ProxySite;

beforeAll(async () => {
  await once(primary.listen(0, '127.0.0.1'), 'listening');
  const { port } = primary.address() as AddressInfo;
  site = await startProxySite({
    env: {
      GEO_PRIMARY_URL: `http://127.0.0.1:${port}`,
      GEO_PRIMARY_AUTH: 'none',
      GEO_SPOOL_MAX: String(SPOOL_MAX),
      GEO_BLOB_MAX: String(BLOB_MAX),
    },
    knobs: { patience: 1_000 },
  });
});
afterEach(() => {
  sent = 0;
});
afterAll(async () => {
  await site.close();
  primary.closeAllConnections();
  primary.close();
});

/** Sends `first`, and then zeros for ever. */
function endless(response: ServerResponse, first: Buffer = Buffer.alloc(0)): void {
  const zeros = Buffer.alloc(64 * 1024);
  open += 1;
  response.once('close', () => (open -= 1));
  const go = (): void => {
    while (!response.destroyed) {
      sent += zeros.length;
      if (!response.write(zeros)) return void response.once('drain', go);
    }
  };
  response.write(first);
  go();
}

const isHead = ({ method }: IncomingMessage): boolean => method === 'HEAD';

function withoutEnd(first?: Buffer): Answering {
  return (request, response) => void (isHead(request) ? response.end() : endless(response, first));
}

/** A right blob, chunked; `size` is what HEAD says. */
function chunked(content: SmallBlob, size?: number): Answering {
  return (request, response) => {
    if (!isHead(request)) return void response.write(content.bytes, () => response.end());
    if (size !== undefined) response.setHeader('content-length', size);
    response.end();
  };
}

/** Has the proxy know a manifest of a repository that says `size` of a blob. */
async function claim(repository: string, { digest }: SmallBlob, size: number): Promise<void> {
  const config = blob(10, `config of ${repository} ${digest} ${size}`);
  const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size };
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config.digest, size: config.size },
      layers: [layer],
    }),
  );
  const { digest: own } = blob(bytes, 'manifest');
  manifests.set(own, { ...manifest(), digest: own, bytes });
  expect((await site.ask(`${repository}/manifests/${own}`)).status).toBe(200);
}

/**
 * Bytes of uploads below a directory. Of one that is cancelled Distribution 2.8.2 writes the state of its hash once more
 * (108 bytes), behind its own back.
 */
async function bytesIn(directory: string): Promise<number> {
  const all = await readdir(directory, { recursive: true }).catch(() => []);
  const names = all.filter((name) => !name.includes('hashstates'));
  const sizes = await Promise.all(names.map(async (name) => stat(join(directory, name)).catch(() => undefined)));
  return sizes.reduce((sum, found) => sum + (found?.isFile() ? found.size : 0), 0);
}

const repositoryDir = (repository: string): string =>
  join(site.secondary.dir, 'docker/registry/v2/repositories', repository, '_uploads');

async function expectNothingLeft(repository: string): Promise<void> {
  await waitFor(() => open === 0, { what: 'the primary’s body to be left' });
  await waitFor(async () => (await bytesIn(repositoryDir(repository))) === 0, { what: 'nothing in _uploads' });
  await waitFor(async () => (await site.metric('spool_bytes')) === 0, { what: 'an empty spool' });
}

test('a blob without an end, and without a length, ends at the size that its manifest gives', async () => {
  const content = blob(1_000, 'claimed 1,000');
  blobs.set(content.digest, withoutEnd(content.bytes));
  await claim('endless/claimed', content, content.size);
  const { status, whole } = await download(site, `endless/claimed/blobs/${content.digest}`);
  // It may be over before the answer has begun.
  expect(status === 502 || !whole).toBe(true);
  await expectNothingLeft('endless/claimed');
  expect(sent).toBeLessThan(ON_THE_WAY);
  expect(await isStored(site, 'endless/claimed', content)).toBe(false);
});

test('one of which nothing is known ends at GEO_BLOB_MAX, past a spool that is smaller', async () => {
  const content = blob(10, 'claimed by nothing');
  blobs.set(content.digest, withoutEnd());
  const pulled = await download(site, `endless/unknown/blobs/${content.digest}`);
  expect(pulled).toMatchObject({ status: 200, whole: false });
  expect(pulled.size).toBeLessThanOrEqual(BLOB_MAX);
  await expectNothingLeft('endless/unknown');
  expect(sent).toBeLessThan(4 * (BLOB_MAX + ON_THE_WAY));
});

test('it ends, too, when its client has left', async () => {
  const content = blob(10, 'left alone');
  blobs.set(content.digest, withoutEnd());
  const response = await site.open(`endless/left/blobs/${content.digest}`);
  response.body.on('error', () => undefined).destroy();
  await expectNothingLeft('endless/left');
  expect(sent).toBeLessThan(4 * (BLOB_MAX + ON_THE_WAY));
});

test('after two such bodies in a row the primary is not asked for it, and clients are told 502', async () => {
  const content = blob(1_000, 'twice');
  blobs.set(content.digest, withoutEnd(content.bytes));
  await claim('endless/twice', content, content.size);
  for (const _ of [1, 2]) await download(site, `endless/twice/blobs/${content.digest}`);
  const third = await site.ask(`endless/twice/blobs/${content.digest}`);
  expect({ status: third.status, code: third.code }).toEqual({ status: 502, code: 'UNKNOWN' });
});

test('one that says itself to be larger than GEO_BLOB_MAX is refused before a byte', async () => {
  const content = blob(10, 'announced');
  blobs.set(content.digest, (request, response) => {
    response.setHeader('content-length', BLOB_MAX + 1);
    if (isHead(request)) response.end();
    else endless(response);
  });
  const before = site.localRelay.count(({ method }) => method === 'POST');
  const pulled = await site.ask(`endless/announced/blobs/${content.digest}`);
  expect({ status: pulled.status, code: pulled.code }).toEqual({ status: 502, code: 'UNKNOWN' });
  await waitFor(() => open === 0, { what: 'the primary’s body to be left' });
  expect(site.localRelay.count(({ method }) => method === 'POST')).toBe(before);
});

test('a part that is longer than its Content-Range says gives no more than that', async () => {
  const content = blob(300_000, 'long part');
  const half = content.size / 2;
  blobs.set(content.digest, ({ headers }, response) => {
    const from = Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
    const end = from < half ? half - 1 : content.size - 1;
    response.writeHead(206, { 'content-range': `bytes ${from}-${end}/${content.size}` });
    endless(response, content.bytes.subarray(from, end + 1));
  });
  const pulled = await download(site, `endless/part/blobs/${content.digest}`);
  expect(pulled).toMatchObject({ digest: content.digest, whole: true });
  await untilStored(site, 'endless/part', content);
  await waitFor(() => open === 0, { what: 'the primary’s bodies to be left' });
});

test.each([
  ['the primary’s own word is larger', 100_000, false],
  ['another manifest says what is right', undefined, true],
])('a manifest that says too little ends no right blob: %s', async (what, size, isRightlyClaimed) => {
  const content = blob(100_000, what);
  blobs.set(content.digest, chunked(content, size));
  if (isRightlyClaimed) await claim('endless/right', content, content.size);
  await claim('endless/lying', content, 1);
  const pulled = await download(site, `endless/right/blobs/${content.digest}`);
  expect(pulled).toMatchObject({ digest: content.digest, whole: true });
  await untilStored(site, 'endless/right', content);
});
