// F8: a primary that keeps its blobs in object storage sends us there, where our credentials have no business.
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { blob, type SmallBlob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { bodyOf, download } from './download.ts';
import { untilStored } from './secondary.ts';

const MiB = 1024 * 1024;

/** What a request to the storage was, and how its answer is to be spoiled. */
interface Storage {
  readonly server: Server;
  readonly url: string;
  readonly asked: { method: string | undefined; headers: IncomingMessage['headers'] }[];
  /** Ends an answer to a GET after so many bytes, once. */
  cutAfter: number | undefined;
  /** Where the storage leads on to, once. */
  redirectTo: string | undefined;
}

let site: ProxySite;
let storage: Storage;
/** The primary's storage root, known when it runs. */
let root = '';

async function send(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, headers } = request;
  storage.asked.push({ method, headers });
  // As S3 does: two ways of authorization at once are an error, and a URL is signed for one method.
  if (headers.authorization !== undefined) return void response.writeHead(400).end('two ways of authorization');
  if (method !== 'GET') return void response.writeHead(403).end();
  if (storage.redirectTo !== undefined) {
    response.writeHead(307, { location: storage.redirectTo + request.url });
    storage.redirectTo = undefined;
    return void response.end();
  }
  const file = join(root, new URL(request.url ?? '', 'http://x').pathname);
  const { size } = await stat(file);
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? [];
  const [start, end] = [Number(first ?? 0), Math.min(last ? Number(last) : Infinity, size - 1)];
  const part = first === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${size}` };
  response.writeHead(first === undefined ? 200 : 206, { 'content-length': end + 1 - start, ...part });
  const limit = storage.cutAfter;
  storage.cutAfter = undefined;
  const body = createReadStream(file, { start, end: limit === undefined ? end : start + limit - 1 });
  body.pipe(response, { end: limit === undefined });
  if (limit !== undefined) body.once('end', () => setImmediate(() => response.destroy()));
}

beforeAll(async () => {
  const server = createServer((request, response) => void send(request, response));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  storage = { server, url, asked: [], cutAfter: undefined, redirectTo: undefined };
  site = await startProxySite({
    primary: { redirectTo: url },
    knobs: { parts: { connections: 4, size: 2 * MiB, above: 4 * MiB } },
  });
  root = site.primary.dir;
});
afterEach(() => {
  storage.asked.length = 0;
  site.relay.reset();
});
afterAll(async () => {
  await site.close();
  storage.server.closeAllConnections();
  storage.server.close();
});

async function pushed(seed: string, ...repositories: string[]): Promise<SmallBlob> {
  return pushedOf(2 * MiB, seed, ...repositories);
}

async function pushedOf(size: number, seed: string, ...repositories: string[]): Promise<SmallBlob> {
  const layer = blob(size, seed);
  for (const repository of repositories) await pushBlob(site.primaryTarget(repository), layer);
  return layer;
}

test('a redirect is followed without our Authorization, and its bytes are checked and stored', async () => {
  const layer = await pushed('redirected', 'f8/app');
  expect(await download(site, `f8/app/blobs/${layer.digest}`)).toMatchObject({ digest: layer.digest, whole: true });
  expect(site.relay.requests.find(bodyOf(layer))).toMatchObject({ status: 307, bodyBytes: 0 });
  expect(storage.asked).toMatchObject([{ method: 'GET' }]);
  expect(storage.asked[0]!.headers).not.toHaveProperty('authorization');
  await untilStored(site, 'f8/app', layer);
});

test('a transfer that the storage breaks off goes on by a fresh redirect', async () => {
  const layer = await pushed('redirected and cut', 'f8/app');
  storage.cutAfter = MiB;
  expect(await download(site, `f8/app/blobs/${layer.digest}`)).toMatchObject({ digest: layer.digest, whole: true });
  expect(site.relay.count(bodyOf(layer))).toBe(2);
  expect(storage.asked).toHaveLength(2);
  expect(storage.asked[1]!.headers.range).toMatch(/^bytes=\d+-$/);
  expect(storage.asked[1]!.headers).not.toHaveProperty('authorization');
});

test('each piece of a large blob has a redirect of its own, and is cut and resumed by itself', async () => {
  const layer = await pushedOf(8 * MiB, 'redirected in pieces', 'f8/app');
  storage.cutAfter = MiB;
  expect(await download(site, `f8/app/blobs/${layer.digest}`)).toMatchObject({ digest: layer.digest, whole: true });
  // Four pieces, one of them in two.
  expect(site.relay.count(bodyOf(layer))).toBe(5);
  expect(storage.asked).toHaveLength(5);
  for (const { headers } of storage.asked) expect(headers).not.toHaveProperty('authorization');
  await untilStored(site, 'f8/app', layer);
});

test('another redirect behind the first is followed, too', async () => {
  const layer = await pushed('redirected twice', 'f8/app');
  storage.redirectTo = storage.url;
  expect(await download(site, `f8/app/blobs/${layer.digest}`)).toMatchObject({ digest: layer.digest, whole: true });
});

test('a redirect that leads nowhere of use is no answer', async () => {
  const layer = await pushed('redirected nowhere', 'f8/app');
  storage.redirectTo = 'ftp://127.0.0.1';
  expect(await site.ask(`f8/app/blobs/${layer.digest}`)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
});

test('that a blob belongs to a second repository is proved although the storage answers no HEAD', async () => {
  const layer = await pushed('redirected for two', 'f8/one', 'f8/two');
  const both = await Promise.all(['f8/one', 'f8/two'].map((name) => download(site, `${name}/blobs/${layer.digest}`)));
  expect(both).toMatchObject(both.map(() => ({ digest: layer.digest, whole: true })));
  await Promise.all(['f8/one', 'f8/two'].map((name) => untilStored(site, name, layer)));
  const bodies = storage.asked.filter(({ method, headers }) => method === 'GET' && headers.range !== 'bytes=0-0');
  expect(bodies).toHaveLength(1);
});

test('a wrong token is sent back by the registry, never by the storage', async () => {
  const layer = await pushed('not redirected', 'f8/app');
  const answer = await site.ask(`f8/app/blobs/${layer.digest}`, { token: site.pullToken('f8/other') });
  expect(answer.status).toBe(401);
  expect(storage.asked).toEqual([]);
});
