// Registries that send clients to their storage: the local one's is passed on, the primary's is followed here.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob, type SmallBlob } from '../support/content.ts';
import { manifest } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { calm, hasLocalBlob, pushToBoth } from './local-copy.ts';
import { waitFor } from '../support/tool.ts';

/** A bucket of an object storage: it wants a signature, and takes no token beside it. */
interface Bucket {
  readonly url: string;
  readonly requests: IncomingMessage[];
  readonly blobs: Map<string, Buffer>;
  /** Answers all with this status while set. */
  failing: number | undefined;
  close(): Promise<void>;
}

async function startBucket(): Promise<Bucket> {
  const server: Server = createServer((request, response) => {
    bucket.requests.push(request);
    const bytes = bucket.blobs.get(new URL(request.url!, 'http://x').pathname.slice(1));
    const isSigned = request.url!.includes('signature=') && request.headers.authorization === undefined;
    if (bucket.failing !== undefined) return void response.writeHead(bucket.failing).end('<Error/>');
    if (!isSigned || request.method !== 'GET') return void response.writeHead(403).end('<Error>signature</Error>');
    if (!bytes) return void response.writeHead(404).end('<Error>NoSuchKey</Error>');
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    if (first === undefined) return void response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
    if (Number(first) >= bytes.length) return void response.writeHead(416).end();
    const end = last ? Math.min(Number(last), bytes.length - 1) : bytes.length - 1;
    const part = bytes.subarray(Number(first), end + 1);
    const headers = { 'content-range': `bytes ${first}-${end}/${bytes.length}`, 'content-length': part.length };
    return void response.writeHead(206, headers).end(part);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const bucket: Bucket = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    blobs: new Map(),
    failing: undefined,
    async close() {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
  return bucket;
}

let site: ProxySite;
let bucket: Bucket;
beforeAll(async () => {
  bucket = await startBucket();
  site = await startProxySite({ secondary: { redirectTo: bucket.url } });
});
afterEach(async () => {
  bucket.requests.length = 0;
  bucket.failing = undefined;
  await calm(site);
});
afterAll(async () => {
  await site.close();
  await bucket.close();
});

let count = 0;

/** A blob that the primary keeps in the bucket: it redirects for it, as S3, GCS and Azure make registries do. */
async function inBucket(size = 50_000): Promise<{ path: string; layer: SmallBlob; name: string }> {
  const name = `redirect/no${(count += 1)}`;
  const layer = blob(size, name);
  await pushBlob(site.primaryTarget(name), layer);
  bucket.blobs.set(layer.digest, layer.bytes);
  const location = `${bucket.url}/${layer.digest}?signature=a%2Fb%3D%3D&x=%20`;
  site.relay.rules.push({
    match: ({ path }) => path.includes(layer.digest),
    answer: { status: 307, headers: { location } },
  });
  return { path: `${name}/blobs/${layer.digest}`, layer, name };
}

describe('the primary’s storage', () => {
  test('is asked here, without our token, its URL as it was signed', async () => {
    const { path, layer, name } = await inBucket();
    const answer = await site.ask(path);
    expect(answer.status).toBe(200);
    expect(answer.body.equals(layer.bytes)).toBe(true);
    expect(answer.headers['location']).toBeUndefined();
    expect(bucket.requests.map(({ url, headers }) => ({ url, authorization: headers.authorization }))).toEqual([
      { url: `/${layer.digest}?signature=a%2Fb%3D%3D&x=%20`, authorization: undefined },
    ]);
    await waitFor(() => hasLocalBlob(site, name, layer.digest), { what: 'the blob in the secondary' });
  });

  test('answers a HEAD with the size', async () => {
    const { path, layer } = await inBucket();
    const answer = await site.ask(path, { method: 'HEAD' });
    expect({ status: answer.status, length: answer.headers['content-length'] }).toEqual({
      status: 200,
      length: String(layer.size),
    });
    expect(bucket.requests.map(({ method, headers }) => `${method} ${headers.range}`)).toEqual(['GET bytes=0-0']);
  });

  test('answers a HEAD of an empty blob', async () => {
    const { path } = await inBucket(0);
    expect((await site.ask(path, { method: 'HEAD' })).headers['content-length']).toBe('0');
  });

  test.each([403, 404, 500, 503])(
    'that answers %i makes nothing unknown or denied, and the primary no outage',
    async (status) => {
      const { path } = await inBucket();
      bucket.failing = status;
      for (let times = 0; times < 6; times += 1) {
        expect(await site.ask(path)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
        expect((await site.ask(path, { method: 'HEAD' })).status).toBe(503);
      }
      expect(await site.metric('breaker_open')).toBe(0);
    },
  );

  test.each(['ftp://example.com/x', 'file:///etc/passwd', 'nonsense:', 'http://[', ''])(
    'at "%s" is not looked for',
    async (location) => {
      const { path, layer } = await inBucket();
      site.relay.rules.unshift({
        match: ({ path: asked }) => asked.includes(layer.digest),
        answer: { status: 307, headers: { location } },
      });
      expect((await site.ask(path)).status).toBe(503);
    },
  );

  test('that leads in circles is left', async () => {
    const { path, layer } = await inBucket();
    site.relay.rules.unshift({
      match: ({ path: asked }) => asked.includes(layer.digest),
      answer: { status: 302, headers: { location: `/v2/${path}` } },
    });
    expect((await site.ask(path)).status).toBe(503);
    expect(site.relay.count(({ path: asked }) => asked.includes(layer.digest))).toBeLessThan(10);
  });

  test('that is a portal’s page is no blob', async () => {
    const { path, layer } = await inBucket();
    site.relay.rules.unshift(
      {
        match: ({ path: asked }) => asked.includes(layer.digest),
        answer: { status: 302, headers: { location: '/login' } },
      },
      {
        match: ({ path: asked }) => asked === '/login',
        answer: { status: 200, headers: { 'content-type': 'text/html' }, body: '<p>Log in' },
      },
    );
    expect((await site.ask(path)).status).toBe(503);
    expect((await site.ask(path, { method: 'HEAD' })).status).toBe(503);
  });
});

/** A blob that both sites have. */
async function atBoth(): Promise<{ path: string; layer: SmallBlob }> {
  const name = `redirect/both${(count += 1)}`;
  const layer = blob(10_000, name);
  await pushToBoth(site, name, 'v1', manifest({ layers: [layer] }));
  return { path: `${name}/blobs/${layer.digest}`, layer };
}

describe('the local registry’s storage', () => {
  test.each([undefined, 'bytes=0-9'])('is where a client is sent, with range %s', async (range) => {
    const { path, layer } = await atBoth();
    const { status, headers, body } = await site.ask(path, { headers: range === undefined ? {} : { range } });
    expect({ status, length: body.length }).toEqual({ status: 307, length: 0 });
    expect(headers['location']).toMatch(new RegExp(`^${bucket.url}/`));
    expect(headers).toMatchObject({
      'docker-content-digest': layer.digest,
      'cache-control': 'private',
      'content-length': '0',
    });
    expect(JSON.stringify(headers)).not.toMatch(/bearer/i);
    expect(site.relay.count()).toBe(0);
    // A look whether it is there.
    expect(bucket.requests.map(({ headers: asked }) => ({ range: asked.range, token: asked.authorization }))).toEqual([
      { range: 'bytes=0-0', token: undefined },
    ]);
  });

  test('that leads to the registry itself is no use to a client: it gets the primary’s bytes', async () => {
    const { path, layer } = await atBoth();
    site.localRelay.rules.push({
      match: ({ path: asked, method }) => asked.includes(layer.digest) && method === 'GET',
      answer: { status: 307, headers: { location: `${site.localRelay.url}/elsewhere` } },
    });
    expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
  });

  test.each(['/elsewhere', 'javascript:alert(1)', 'file:///etc/passwd'])(
    'at "%s" is passed on to nobody',
    async (location) => {
      const { path, layer } = await atBoth();
      site.localRelay.rules.push({
        match: ({ path: asked, method }) => asked.includes(layer.digest) && method === 'GET',
        answer: { status: 307, headers: { location } },
      });
      const answer = await site.ask(path);
      expect({ status: answer.status, location: answer.headers['location'] }).toEqual({
        status: 200,
        location: undefined,
      });
    },
  );
});
