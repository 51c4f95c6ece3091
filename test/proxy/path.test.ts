// Paths that no client should ask: a 4xx in OCI JSON or the right answer, and never a 5xx, whoever asks.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob, digestOf } from '../support/content.ts';
import { image, type Manifest } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import { dial, readToEnd, send, type WireAnswer } from './wire.ts';

let site: ProxySite;
const pushed: Manifest = image('path');
const longName = `${'n'.repeat(100)}/${'m'.repeat(154)}`;

beforeAll(async () => {
  site = await startProxySite();
  await pushImage(site.primaryTarget('grp/proj'), 'v1', pushed);
  await pushImage(site.primaryTarget(longName), 'v1', pushed);
});
afterEach(() => site.relay.reset());
afterAll(() => site.close());

function get(path: string, method = 'GET', name = 'grp/proj'): Promise<WireAnswer> {
  return send(site.proxy.url, `${method} ${path}`, { authorization: `Bearer ${site.pullToken(name)}` });
}

const hex = 'a'.repeat(64);
const wrong: [path: string, code: string][] = [
  ['/v2/../v2/grp/proj/manifests/v1', 'NAME_INVALID'],
  ['/v2/grp/../proj/manifests/v1', 'NAME_INVALID'],
  ['/v2/grp/./proj/manifests/v1', 'NAME_INVALID'],
  ['/v2/grp/%2e%2e/proj/manifests/v1', 'NAME_INVALID'],
  ['/v2/..%2f..%2fetc/passwd/manifests/v1', 'NAME_INVALID'],
  ['/v2//grp/proj/manifests/v1', 'NAME_INVALID'],
  ['/v2/grp//proj/manifests/v1', 'NAME_INVALID'],
  ['/v2/grp/proj%00/manifests/v1', 'NAME_INVALID'],
  ['/v2/grp/proj%0d%0aX-Evil:%201/manifests/v1', 'UNSUPPORTED'],
  ['/v2/Grp/proj/manifests/v1', 'NAME_INVALID'],
  ['/v2/grp/pr%C3%B6j/manifests/v1', 'NAME_INVALID'],
  ['/v2/grp/pröj/manifests/v1', 'UNSUPPORTED'],
  ['/v2/grp/proj%252fx/manifests/v1', 'NAME_INVALID'],
  [`/v2/${'n'.repeat(256)}/manifests/v1`, 'NAME_INVALID'],
  [`/v2/${'n/'.repeat(5_000)}x/manifests/v1`, 'NAME_INVALID'],
  [`/v2/grp/proj/manifests/${'t'.repeat(129)}`, 'MANIFEST_UNKNOWN'],
  [`/v2/grp/proj/manifests/${'t'.repeat(10_000)}`, 'MANIFEST_UNKNOWN'],
  ['/v2/grp/proj/manifests/-v1', 'MANIFEST_UNKNOWN'],
  ['/v2/grp/proj/manifests/%00', 'MANIFEST_UNKNOWN'],
  ['/v2/grp/proj/manifests/v1%2F', 'UNSUPPORTED'],
  [`/v2/grp/proj/manifests/sha256:${hex.toUpperCase()}`, 'MANIFEST_UNKNOWN'],
  [`/v2/grp/proj/manifests/sha256:${hex.slice(1)}`, 'MANIFEST_UNKNOWN'],
  [`/v2/grp/proj/manifests/md5:${hex.slice(32)}`, 'MANIFEST_UNKNOWN'],
  ['/v2/grp/proj/blobs/v1', 'DIGEST_INVALID'],
  [`/v2/grp/proj/blobs/sha256:${hex}%00`, 'DIGEST_INVALID'],
  [`/v2/grp/proj/blobs/sha512:${hex}`, 'DIGEST_INVALID'],
  ['/v2/grp/proj/referrers/v1', 'DIGEST_INVALID'],
  ['/v2/grp/proj/tags/list?n=-1', 'PAGINATION_NUMBER_INVALID'],
  ['/v2/grp/proj/tags/list?n=1e3', 'PAGINATION_NUMBER_INVALID'],
  [`/v2/grp/proj/tags/list?last=${'x'.repeat(5_000)}`, 'UNSUPPORTED'],
];

describe.each(wrong)('%s', (path, code) => {
  test(`is a 4xx, ${code}, without a word to the primary`, async () => {
    const answer = await get(path);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(405);
    expect(answer.code).toBe(code);
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(site.relay.count()).toBe(0);
  });
});

test.each([
  '/v2/%',
  '/v2/grp/proj/manifests/%zz',
  '/v2/grp/proj/manifests/%e0%a4',
  '/v2/grp',
  '/v2/grp/proj',
  '/v2/grp/proj/manifests/',
  '/v2/grp/proj/manifests',
  '/v2/grp/proj/blobs/',
  '/v2/grp/proj/nothing/v1',
  '/v2/grp/proj/tags/v1',
  '/v2/_catalog/x',
  '/v2/grp/proj/blobs/uploads/',
  `/v2/${'x'.repeat(10_000)}`,
])('%s is a 4xx in OCI JSON for GET, and without a body for HEAD', async (path) => {
  const answer = await get(path);
  expect([400, 404]).toContain(answer.status);
  expect(answer.code).toBeDefined();
  const head = await get(path, 'HEAD');
  expect({ status: head.status, body: head.body }).toEqual({ status: answer.status, body: '' });
});

test.each(['/v2', '/v2/', '/v2?x', '/v2/?ns=docker.io', '/v2/?%', '/v2/?n=x&n=y'])(
  '%s answers for the API',
  async (path) => {
    const answer = await get(path);
    expect(answer.status).toBe(200);
    expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0');
  },
);

test.each([
  '/v2/grp%2Fproj/manifests/v1',
  '/v2/grp%2fproj/manifests/v1',
  '/v2/grp/proj/manifests/v1?ns=registry.example.com',
  '/v2/grp/proj/manifests/v1?',
  '/v2/grp/proj/manifests/v1?%&=&a=%zz',
  '/v2/%67rp/proj/manifests/v1',
])('%s is the image', async (path) => {
  const answer = await get(path);
  expect(answer.status).toBe(200);
  expect(answer.headers['docker-content-digest']).toBe(pushed.digest);
});

test('a name of 255 characters and a tag of 128 are fine', async () => {
  expect((await get(`/v2/${longName}/manifests/v1`, 'GET', longName)).status).toBe(200);
  const tag = 't'.repeat(128);
  await pushImage(site.primaryTarget('grp/proj'), tag, pushed);
  expect((await get(`/v2/grp/proj/manifests/${tag}`)).status).toBe(200);
});

test('a sha512 digest names a blob, from its push to its hit', async () => {
  const layer = blob(5_000, 'sha512', 'sha512');
  await pushBlob(site.primaryTarget('grp/proj'), layer);
  for (let times = 0; times < 2; times += 1) {
    const answer = await site.ask(`grp/proj/blobs/${layer.digest}`);
    expect(answer.status).toBe(200);
    expect(answer.body.equals(layer.bytes)).toBe(true);
    expect(answer.headers['docker-content-digest']).toBe(layer.digest);
  }
});

test('a sha512 digest of nothing is 404, of a manifest too', async () => {
  const unknown = digestOf('unknown', 'sha512');
  expect(await site.ask(`grp/proj/blobs/${unknown}`)).toMatchObject({ status: 404, code: 'BLOB_UNKNOWN' });
  expect(await site.ask(`grp/proj/manifests/${unknown}`)).toMatchObject({ status: 404, code: 'MANIFEST_UNKNOWN' });
});

test('headers beyond 64 KiB are 431, and the next request is served', async () => {
  const answer = await send(site.proxy.url, 'GET /v2/', { 'x-flood': 'x'.repeat(70_000) });
  expect({ status: answer.status, code: answer.code }).toEqual({ status: 431, code: 'UNSUPPORTED' });
  expect((await get('/v2/')).status).toBe(200);
});

test('a token of many repositories, 15 KiB, still goes through', async () => {
  const access = Array.from({ length: 150 }, (_, nth) => ({
    type: 'repository',
    name: nth === 0 ? 'grp/proj' : `some/other/repository-${nth}`,
    actions: ['pull'],
  }));
  const token = site.tokenFor(access);
  expect(token.length).toBeGreaterThan(12_000);
  expect((await site.ask('grp/proj/manifests/v1', { token })).status).toBe(200);
});

test.each([
  ['no HTTP', 'hello\r\n\r\n'],
  ['a header without a colon', 'GET /v2/ HTTP/1.1\r\nhost: x\r\nnonsense\r\n\r\n'],
  ['a control character in a header', 'GET /v2/ HTTP/1.1\r\nhost: x\r\na: \x00\r\n\r\n'],
  ['two lengths', 'POST /v2/ HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n'],
  ['length and chunks', 'POST /v2/ HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n'],
  ['HTTP/3.7', 'GET /v2/ HTTP/3.7\r\nhost: x\r\n\r\n'],
])('%s is 400, and the next request is served', async (_what, bytes) => {
  const socket = await dial(site.proxy.url);
  socket.write(bytes, 'latin1');
  expect((await readToEnd(socket)).status).toBe(400);
  expect((await get('/v2/')).status).toBe(200);
});

test('TLS spoken to the plain port harms nobody', async () => {
  const socket = await dial(site.proxy.url);
  socket.write(Buffer.from('16030100c8010000c40303', 'hex'));
  expect((await readToEnd(socket)).status).toBe(400);
  expect((await get('/v2/')).status).toBe(200);
});

test('paths outside the API are plain 404s', async () => {
  for (const path of ['/', '/v1/', '/v20/', '/V2/', '/favicon.ico', '//v2/', '/%']) {
    const answer = await get(path);
    expect([400, 404]).toContain(answer.status);
  }
});
