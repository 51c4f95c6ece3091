// Registries that mean the same and say it otherwise: redirects of anything, content codings, types that say nothing, no HEAD.
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { MANIFEST } from '../../src/oci/media-types.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { Authorizer } from '../../src/registry/authorizer.ts';
import type { Registry } from '../../src/registry/registry.ts';
import { scaled } from '../support/patience.ts';
import { startRawServer, type Answering, type RawServer } from './raw-server.ts';

const TIME = scaled(5_000);
const servers: RawServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

async function serve(answering: Answering): Promise<RawServer> {
  const server = await startRawServer(answering);
  servers.push(server);
  return server;
}

const bytes = Buffer.from(
  JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST.ociManifest, config: {}, layers: [], annotations: {} }),
);
const digestOf = (content: Buffer): Digest => `sha256:${createHash('sha256').update(content).digest('hex')}` as Digest;
const digest = digestOf(bytes);
const missing = JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'no' }] });
const JSON_TYPE = { 'content-type': 'application/json' };

/** Answers a manifest, lists and `/v2/` as a registry does. */
const asRegistry: Answering = ({ url = '', method }, response) => {
  if (url.includes('/manifests/')) {
    const headers = { 'content-type': MANIFEST.ociManifest, 'docker-content-digest': digest };
    response.writeHead(200, { ...headers, 'content-length': bytes.length }).end(method === 'HEAD' ? undefined : bytes);
  } else response.writeHead(200, JSON_TYPE).end('{}');
};

const asks: readonly (readonly [string, (registry: Registry) => Promise<{ readonly kind: string }>])[] = [
  ['a manifest by tag', ({ manifests }) => manifests.get('a/b', { tag: 'v1' }, TIME)],
  ['a manifest by digest', ({ manifests }) => manifests.get('a/b', { digest }, TIME)],
  ['a look-up of a tag', ({ manifests }) => manifests.head('a/b', { tag: 'v1' }, TIME)],
  ['tags', ({ lists }) => lists.page({ kind: 'tags', name: 'a/b' }, '', TIME)],
  ['referrers', ({ lists }) => lists.page({ kind: 'referrers', name: 'a/b', digest }, '', TIME)],
  ['the catalog', ({ lists }) => lists.page({ kind: 'catalog' }, 'n=5', TIME)],
  [
    '/v2/',
    async ({ ping }) => {
      const answer = await ping();
      return answer.kind !== 'found' || answer.value.acceptsUs ? answer : { kind: 'refused' };
    },
  ],
];

const ours: Authorizer = { header: () => Promise.resolve('Bearer ours'), renew: () => Promise.resolve(false) };

describe.each(asks)('%s', (_what, ask) => {
  test.each([301, 302, 307, 308])('is asked where a %i leads, without our token', async (status) => {
    const seen: (string | undefined)[] = [];
    const other = await serve((request, response, nth) => {
      seen.push(request.headers.authorization);
      asRegistry(request, response, nth);
    });
    const first = await serve(({ url }, response) => {
      response.writeHead(status, { location: new URL(url!, other.url).href }).end();
    });
    expect(await ask(first.registry({ authorizer: ours }))).toMatchObject({ kind: 'found' });
    expect(seen).toEqual([undefined]);
    expect(other.requests).toEqual(first.requests);
  });

  test('is asked with our token where it leads to another path of the same registry', async () => {
    const seen: (string | undefined)[] = [];
    const server = await serve((request, response, nth) => {
      seen.push(request.headers.authorization);
      if (request.url?.startsWith('/region')) asRegistry(request, response, nth);
      else response.writeHead(307, { location: `/region${request.url}` }).end();
    });
    expect(await ask(server.registry({ authorizer: ours }))).toMatchObject({ kind: 'found' });
    expect(seen).toEqual(['Bearer ours', 'Bearer ours']);
  });
});

test('a registry that leads to where credentials are wanted is named, and is no outage', async () => {
  const other = await serve((_request, response) => {
    response.writeHead(401, { 'www-authenticate': 'Bearer realm="https://x.example.com/"' }).end();
  });
  const first = await serve(({ url }, response) => {
    response.writeHead(308, { location: new URL(url!, other.url).href }).end();
  });
  const registry = first.registry({ authorizer: ours, threshold: 1 });
  const answer = await registry.manifests.get('a/b', { tag: 'v1' }, TIME);
  const reason = expect.stringContaining(`redirected to ${other.url.host}, which wants credentials`);
  expect(answer).toEqual({ kind: 'unavailable', reason });
  expect(registry.client.breaker.isOpen).toBe(false);
});

describe('content codings', () => {
  const codings: readonly (readonly [string, (content: Buffer) => Buffer])[] = [
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
    ['br, gzip', (content) => gzipSync(brotliCompressSync(content))],
  ];

  test.each(codings)('%s: a manifest, a list and an error are read', async (coding, encode) => {
    const wanted: (string | undefined)[] = [];
    const send = (response: ServerResponse, status: number, headers: Record<string, string>, content: Buffer): void => {
      response.writeHead(status, { ...headers, 'content-encoding': coding }).end(encode(content));
    };
    const server = await serve(({ url = '', headers }, response) => {
      wanted.push(headers['accept-encoding']);
      if (url.includes('/manifests/none')) send(response, 404, JSON_TYPE, Buffer.from(missing));
      else if (url.includes('/manifests/')) send(response, 200, { 'content-type': MANIFEST.ociManifest }, bytes);
      else send(response, 200, JSON_TYPE, Buffer.from('{"tags":["v1"]}'));
    });
    const { manifests, lists } = server.registry();
    expect(await manifests.get('a/b', { digest }, TIME)).toMatchObject({ kind: 'found', value: { digest, bytes } });
    expect(await manifests.get('a/b', { tag: 'none' }, TIME)).toEqual({ kind: 'missing', code: 'MANIFEST_UNKNOWN' });
    const page = await lists.page({ kind: 'tags', name: 'a/b' }, '', TIME);
    expect(page).toMatchObject({ kind: 'found', value: { bytes: Buffer.from('{"tags":["v1"]}') } });
    expect(new Set(wanted)).toEqual(new Set(['identity']));
  });

  test('what says to be coded and is not is taken as it is', async () => {
    const headers = { 'content-type': MANIFEST.ociManifest, 'content-encoding': 'gzip' };
    const server = await serve((_request, response) => void response.writeHead(200, headers).end(bytes));
    expect(await server.registry().manifests.get('a/b', { digest }, TIME)).toMatchObject({ kind: 'found' });
  });

  test.each([
    ['more than a manifest may have', 'gzip', gzipSync(Buffer.alloc(33 * 1024 * 1024))],
    ['an unknown coding', 'compress', bytes],
  ])('%s is refused', async (_what, coding, content) => {
    const headers = { 'content-type': MANIFEST.ociManifest, 'content-encoding': coding };
    const server = await serve((_request, response) => void response.writeHead(200, headers).end(content));
    expect(await server.registry().manifests.get('a/b', { digest }, TIME)).toMatchObject({ kind: 'unavailable' });
  });
});

describe('a type that says nothing', () => {
  const index = { schemaVersion: 2, manifests: [] };
  const image = { schemaVersion: 2, config: { digest }, layers: [] };
  const vendor = { schemaVersion: 2, mediaType: 'application/vnd.vendor.thing.v1+json' };
  const contents: readonly (readonly [object, string])[] = [
    [index, MANIFEST.ociIndex],
    [image, MANIFEST.ociManifest],
    [vendor, 'application/vnd.vendor.thing.v1+json'],
    [{ ...image, mediaType: MANIFEST.dockerSchema2 }, MANIFEST.dockerSchema2],
    [{ schemaVersion: 1, fsLayers: [] }, MANIFEST.dockerSchema1],
  ];
  const types = ['application/octet-stream', 'text/plain; charset=utf-8', 'application/json', undefined];

  test.each(contents)('%j is what its bytes say: %s', async (content, mediaType) => {
    const body = Buffer.from(JSON.stringify(content));
    for (const type of types) {
      const headers = { 'docker-content-digest': digestOf(body), ...(type ? { 'content-type': type } : {}) };
      const server = await serve(({ method }, response) => {
        response.writeHead(200, headers).end(method === 'HEAD' ? undefined : body);
      });
      const { manifests } = server.registry();
      const value = { mediaType, digest: digestOf(body) };
      expect(await manifests.get('a/b', { tag: 'v1' }, TIME)).toMatchObject({ kind: 'found', value });
      expect(await manifests.head('a/b', { tag: 'v1' }, TIME)).toMatchObject({ kind: 'found', value });
    }
  });
});

test.each([400, 405, 501])('a registry without HEAD (%i) is asked by GET, and for an hour only so', async (status) => {
  const server = await serve((request, response, nth) => {
    if (request.method === 'HEAD') response.writeHead(status).end();
    else asRegistry(request, response, nth);
  });
  const { manifests, blobs } = server.registry();
  for (const _time of [1, 2]) expect(await manifests.head('a/b', { tag: 'v1' }, TIME)).toMatchObject({ kind: 'found' });
  expect(server.requests.map((line) => line.split(' ')[0])).toEqual(['HEAD', 'GET', 'GET']);
  expect(await blobs.head('a/b', digest, TIME)).toMatchObject({ kind: 'found' });
});

test.each([400, 403, 405, 412, 416, 500, 501])('a condition that is answered by %i is left out', async (status) => {
  const server = await serve((request, response, nth) => {
    if (request.headers['if-none-match']) response.writeHead(status).end();
    else asRegistry(request, response, nth);
  });
  const known = { mediaType: MANIFEST.ociManifest, digest: digestOf(Buffer.from('before')) };
  const answer = await server.registry().manifests.head('a/b', { tag: 'v1' }, TIME, known);
  expect(answer).toMatchObject({ kind: 'found', value: { digest } });
});

describe('a range that a registry does not take', () => {
  const blob = Buffer.from('0123456789');
  const of = digestOf(blob);
  const answers: readonly (readonly [string, (request: IncomingMessage, response: ServerResponse) => void])[] = [
    ...[400, 403, 405, 406, 416, 501].map(
      (status) =>
        [
          `${status}`,
          (_request: IncomingMessage, response: ServerResponse) => void response.writeHead(status).end(),
        ] as const,
    ),
    ['206 without Content-Range', (_request, response) => void response.writeHead(206).end(blob.subarray(2))],
    [
      '200 with one',
      (_request, response) => void response.writeHead(200, { 'content-range': 'bytes 2-9/10' }).end(blob.subarray(2)),
    ],
  ];

  test.each(answers)('by %s gets the whole blob, and is not asked for one again', async (_what, refuse) => {
    const server = await serve((request, response) => {
      if (request.headers.range) refuse(request, response);
      else response.writeHead(200, { 'content-length': blob.length }).end(blob);
    });
    const { blobs } = server.registry();
    for (const asked of [2, 3]) {
      const answer = await blobs.open('a/b', of, TIME, { start: 0, end: 3 });
      expect(answer).toMatchObject({ kind: 'found', value: { start: 0, size: blob.length } });
      if (answer.kind === 'found') answer.value.body.destroy();
      expect(server.requests).toHaveLength(asked);
    }
  });

  test('once, where it was taken before, is asked for again; twice in a row, not', async () => {
    const answers = ['taken', 'refused', 'taken', 'refused', 'refused'];
    const server = await serve((request, response) => {
      const answer = request.headers.range ? answers.shift() : 'whole';
      if (answer === 'taken') response.writeHead(206, { 'content-range': 'bytes 0-3/10' }).end('0123');
      else if (answer === 'refused') response.writeHead(403).end();
      else response.writeHead(200, { 'content-length': blob.length }).end(blob);
    });
    const { blobs } = server.registry();
    for (let times = 0; times < 6; times += 1) {
      const answer = await blobs.open('a/b', of, TIME, { start: 0, end: 3 });
      expect(answer.kind).toBe('found');
      if (answer.kind === 'found') answer.value.body.destroy();
    }
    expect(answers).toEqual([]);
    // Five with a range, three of which were asked again without, and the last one without from the start.
    expect(server.requests).toHaveLength(9);
  });

  test.each([
    [404, missing.replace('MANIFEST', 'BLOB'), 'missing'],
    [429, '', 'busy'],
    [500, '', 'unavailable'],
    [503, '', 'unavailable'],
  ])('is not what %i is about', async (status, body, kind) => {
    const server = await serve(({ url }, response) => {
      if (url === '/v2/') response.end('{}');
      else response.writeHead(status, JSON_TYPE).end(body);
    });
    expect(await server.registry().blobs.open('a/b', of, TIME, { start: 0, end: 3 })).toMatchObject({ kind });
    expect(server.requests.filter((line) => line !== 'GET /v2/')).toHaveLength(1);
  });
});

/** Credentials that are given for any challenge. */
const held = (): Authorizer & { readonly challenges: (string | undefined)[] } => {
  const challenges: (string | undefined)[] = [];
  return {
    challenges,
    isAnonymous: () => challenges.length === 0,
    header: () => Promise.resolve(challenges.length === 0 ? undefined : 'Basic ours'),
    renew(_access, challenge) {
      challenges.push(challenge);
      return Promise.resolve(true);
    },
  };
};

describe('credentials that are held, and a registry that hides what is not for everybody', () => {
  test.each([403, 404])('are shown after its first %i', async (status) => {
    const server = await serve((request, response, nth) => {
      if (request.headers.authorization === 'Basic ours') asRegistry(request, response, nth);
      else if (request.url === '/v2/') response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      else response.writeHead(status, JSON_TYPE).end(missing);
    });
    const authorizer = held();
    const { manifests } = server.registry({ authorizer });
    expect(await manifests.get('a/b', { tag: 'v1' }, TIME)).toMatchObject({ kind: 'found' });
    expect(authorizer.challenges).toEqual(['Basic realm="x"']);
    expect(server.requests).toEqual(['GET /v2/a/b/manifests/v1', 'GET /v2/', 'GET /v2/a/b/manifests/v1']);
  });

  test('are not asked for again and again where /v2/ wants none', async () => {
    const server = await serve(({ url }, response) => {
      if (url === '/v2/') response.writeHead(200, JSON_TYPE).end('{}');
      else response.writeHead(404, JSON_TYPE).end(missing);
    });
    const authorizer = held();
    const { manifests } = server.registry({ authorizer });
    for (const tag of ['a', 'b', 'c']) {
      expect(await manifests.get('a/b', { tag }, TIME)).toEqual({ kind: 'missing', code: 'MANIFEST_UNKNOWN' });
    }
    // One for the challenge, and one that tells whether a registry speaks.
    expect(server.requests.filter((line) => line === 'GET /v2/')).toHaveLength(2);
    expect(authorizer.challenges).toEqual([]);
  });
});
