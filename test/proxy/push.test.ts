// Pushes: refused at the door with an answer that every client can print, whatever is sent and however.
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { blob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { waitFor } from '../support/tool.ts';
import { dial, readToEnd, send, type WireAnswer } from './wire.ts';

let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite({ env: { GEO_PUSH_HOST: 'registry.example.com:5050' } });
});
afterEach(() => {
  expect(site.relay.count() + site.localRelay.count()).toBe(0);
});
afterAll(() => site.close());

const uploads = '/v2/grp/proj/blobs/uploads/';
const manifest = '/v2/grp/proj/manifests/v1';

function expectRefusal({ status, code, headers, body }: WireAnswer): void {
  expect({ status, code, allow: headers['allow'], type: headers['content-type'] }).toEqual({
    status: 405,
    code: 'UNSUPPORTED',
    allow: 'GET, HEAD',
    type: 'application/json; charset=utf-8',
  });
  expect(body).toContain('push to registry.example.com:5050 instead');
}

test.each([
  ['POST', uploads],
  ['POST', `${uploads}?mount=sha256:${'a'.repeat(64)}&from=other/repository`],
  ['PATCH', `${uploads}some-session`],
  ['PUT', `${uploads}some-session?digest=sha256:${'a'.repeat(64)}`],
  ['PUT', manifest],
  ['DELETE', manifest],
  ['DELETE', `/v2/grp/proj/blobs/sha256:${'a'.repeat(64)}`],
  ['TRACE', '/v2/'],
  ['PROPFIND', '/v2/grp/proj'],
  ['PURGE', manifest],
  ['POST', '/v2'],
  ['POST', '/v2/?x'],
  ['PUT', '/v2/UPPER//case/manifests/v1'],
  ['POST', '/v2/../v2/x/blobs/uploads/'],
  ['PATCH', '/v2/%00/%2e%2e/'],
  ['PUT', `/v2/${'x'.repeat(10_000)}/manifests/v1`],
  ['QUERY', '/v2/_catalog'],
  ['POST', '/v2/%zz/blobs/uploads/'],
])('%s %s without a body and without a token', async (method, path) => {
  expectRefusal(await send(site.proxy.url, `${method} ${path}`));
});

test('OPTIONS is no push: it says what may be done', async () => {
  for (const path of ['/v2/', manifest]) {
    const { status, headers, body } = await send(site.proxy.url, `OPTIONS ${path}`);
    expect({ status, allow: headers['allow'], body }).toEqual({ status: 204, allow: 'GET, HEAD, OPTIONS', body: '' });
  }
  expect(site.relay.requests).toEqual([]);
});

test('nothing about it is looked at first: neither a good token, nor none, nor a loop', async () => {
  const headers = { authorization: `Bearer ${site.primaryTarget('grp/proj').token}`, 'content-length': '0' };
  expectRefusal(await send(site.proxy.url, `POST ${uploads}`, headers));
  expectRefusal(await send(site.proxy.url, `POST ${uploads}`, { authorization: 'Basic eDp5' }));
  expectRefusal(await send(site.proxy.url, `POST ${uploads}`, { via: '1.1 geo-registry-proxy-test' }));
});

test.each([
  'application/json',
  'application/octet-stream',
  'application/vnd.oci.image.manifest.v1+json',
  'multipart/form-data; boundary=x',
  'application/x-www-form-urlencoded',
  'text/plain',
  'not a type at all',
  '',
])('a body of type "%s", malformed as it is', async (type) => {
  const socket = await dial(site.proxy.url);
  const body = '{"half": ';
  socket.write(
    `PUT ${manifest} HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  socket.write(body);
  const answer = await readToEnd(socket);
  expectRefusal(answer);
  expect(answer.headers['connection']).toBe('close');
});

test.each([
  ['with its length', 'content-length: 1000000'],
  ['in chunks', 'transfer-encoding: chunked'],
  ['after asking whether it may', 'content-length: 1000000\r\nexpect: 100-continue'],
  ['in chunks after asking', 'transfer-encoding: chunked\r\nexpect: 100-continue'],
  ['with an expectation that nobody has', 'content-length: 5\r\nexpect: miracles'],
])('a body announced %s is refused before any of it comes', async (_how, header) => {
  const socket = await dial(site.proxy.url);
  socket.write(`PATCH ${uploads}session HTTP/1.1\r\nhost: x\r\n${header}\r\n\r\n`);
  const [first] = (await once(socket, 'data')) as [Buffer];
  expect(first.toString()).toMatch(/^HTTP\/1\.1 405 /);
  expect(first.toString().toLowerCase()).toContain('connection: close');
  expect(first.toString()).not.toContain('100 Continue');
  socket.destroy();
});

test('a connection without a body stays open for the next request', async () => {
  const socket = await dial(site.proxy.url);
  socket.write(`POST ${uploads} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`);
  const [first] = (await once(socket, 'data')) as [Buffer];
  expect(first.toString()).toMatch(/^HTTP\/1\.1 405 /);
  socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  expect(await readToEnd(socket)).toMatchObject({ status: 200, body: 'ok\n' });
});

test('a client that sends 50 MB before it reads still gets the answer', async () => {
  const socket = await dial(site.proxy.url);
  const { bytes } = blob(1_000_000, 'push');
  socket.pause();
  socket.write(`PATCH ${uploads}session HTTP/1.1\r\nhost: x\r\ncontent-length: ${50 * bytes.length}\r\n\r\n`);
  for (let sent = 0; sent < 50; sent += 1) {
    await new Promise<void>((resolve, reject) => {
      socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }
  expectRefusal(await readToEnd(socket));
});

test('a client that leaves in the middle of its body leaves nothing behind', async () => {
  const socket = await dial(site.proxy.url);
  socket.write(`PATCH ${uploads}session HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nsome`);
  await once(socket, 'data');
  socket.resetAndDestroy();
  expectRefusal(await send(site.proxy.url, `POST ${uploads}`));
});

test('refused pushes are counted and logged', async () => {
  const before = await site.metric('pushes_refused_total');
  const socket = await dial(site.proxy.url);
  socket.write(`PUT ${manifest}logged?secret HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}`);
  await readToEnd(socket);
  expect(await site.metric('pushes_refused_total')).toBe(before + 1);
  await waitFor(() => site.log.some((line) => String(line['reference']).endsWith('logged') && line['status'] === 405), {
    what: 'the line of the refused push',
  });
});
