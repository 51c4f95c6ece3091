// What nginx/registry.conf sends to the proxy and says in its place, seen by an upstream that the tests control.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ask } from './client.ts';
import { hostname, startNginx, type Nginx } from './site.ts';

let upstream: Server;
let nginx: Nginx;
let received: IncomingHttpHeaders[];
let connections: number;
const targets: string[] = [];

beforeAll(async () => {
  const known = new WeakSet();
  upstream = createServer((request, response) => {
    received.push(request.headers);
    targets.push(request.url ?? '');
    const { pathname } = new URL(request.url ?? '/', 'http://upstream');
    const isKept = known.has(request.socket);
    known.add(request.socket);
    if (pathname === '/v2/hang-up' || (pathname === '/v2/stale' && isKept)) return void request.socket.destroy();
    const isBack = request.headers['x-geo-accel'] === 'missed';
    if (pathname.startsWith('/v2/hand-over')) {
      if (isBack && pathname.endsWith('/hang-up')) return void request.socket.destroy();
      if (!isBack || pathname.endsWith('/for-ever')) {
        const digest = { 'docker-content-digest': 'sha256:0', etag: '"sha256:0"' };
        response.writeHead(204, { ...digest, 'x-accel-redirect': '/geo-accel/file/sha256/00/x/data' }).end();
        return;
      }
    }
    const status = Number(pathname.split('/').at(-1)) || 200;
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': 2 }).end('{}');
  });
  upstream.on('connection', () => (connections += 1));
  await once(upstream.listen(0, '127.0.0.1'), 'listening');
  nginx = await startNginx((upstream.address() as AddressInfo).port);
});

beforeEach(() => {
  received = [];
  connections = 0;
});

afterAll(async () => {
  await nginx.close();
  upstream.closeAllConnections();
});

test.each(['HTTP/1.1', 'HTTP/2'] as const)('%s: the proxy hears of host, port, scheme and client', async (protocol) => {
  await ask(protocol, nginx, '/v2/', { headers: { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'gopher' } });
  expect(received).toEqual([
    expect.objectContaining({
      host: `${hostname}:${nginx.httpsPort}`,
      'x-forwarded-for': '192.0.2.1, 127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': `${hostname}:${nginx.httpsPort}`,
    }),
  ]);
});

test('connections to the proxy are kept', async () => {
  await ask('HTTP/1.1', nginx, '/v2/');
  connections = 0;
  await ask('HTTP/1.1', nginx, '/v2/');
  expect({ requests: received.length, connections }).toEqual({ requests: 2, connections: 0 });
});

test('a kept connection that the proxy closes just then is no client’s trouble', async () => {
  await ask('HTTP/1.1', nginx, '/v2/');
  const { status } = await ask('HTTP/1.1', nginx, '/v2/stale');
  expect({ status, asked: received.length }).toEqual({ status: 200, asked: 3 });
});

test.each([500, 502, 503, 504, 429])('the proxy’s own %s passes', async (status) => {
  const answer = await ask('HTTP/2', nginx, `/v2/${status}`);
  expect({ status: answer.status, body: answer.body.toString() }).toEqual({ status, body: '{}' });
});

test('a proxy that cannot be reached is a 503 that clients can read', async () => {
  const { status, headers, body } = await ask('HTTP/2', nginx, '/v2/hang-up');
  expect({ status, retryAfter: headers['retry-after'], type: headers['content-type'] }).toEqual({
    status: 503,
    retryAfter: '5',
    type: 'application/json',
  });
  expect(JSON.parse(body.toString())).toMatchObject({ errors: [{ code: 'UNAVAILABLE' }] });
});

describe('with registry-accel.conf', () => {
  let site: Nginx;
  beforeAll(async () => {
    site = await startNginx((upstream.address() as AddressInfo).port, { registry: 9, blobs: '/nonexistent' });
  });
  afterAll(() => site.close());

  test('what it could not deliver comes back once, as the client sent it, on a kept connection', async () => {
    await ask('HTTP/1.1', site, '/v2/');
    [received, connections] = [[], 0];
    const headers = { range: 'bytes=7-', authorization: 'Bearer x', 'x-geo-accel': 'nothing' };
    const { status, body } = await ask('HTTP/2', site, '/v2/hand-over?ns=a%2Fb', { headers });
    expect({ status, body: body.toString(), connections }).toEqual({ status: 200, body: '{}', connections: 0 });
    const same = { range: 'bytes=7-', authorization: 'Bearer x', 'x-forwarded-proto': 'https' };
    expect(received).toEqual([
      expect.objectContaining({ ...same, 'x-geo-accel': 'offered' }),
      expect.objectContaining({ ...same, 'x-geo-accel': 'missed' }),
    ]);
    expect(targets.slice(-2)).toEqual(['/v2/hand-over?ns=a%2Fb', '/v2/hand-over?ns=a%2Fb']);
  });

  test('who answers with another redirect all the same leads nginx nowhere', async () => {
    const { status, body } = await ask('HTTP/2', site, '/v2/hand-over/for-ever');
    expect({ status, length: body.length }).toEqual({ status: 204, length: 0 });
    expect(received.length).toBe(2);
  });

  test('the proxy is gone when it comes back: the answer is the registry’s form of 503', async () => {
    const { status, body } = await ask('HTTP/2', site, '/v2/hand-over/hang-up');
    expect(status).toBe(503);
    expect(JSON.parse(body.toString())).toMatchObject({ errors: [{ code: 'UNAVAILABLE' }] });
  });
});

test('registry.conf lets nobody say that it delivers', async () => {
  await ask('HTTP/2', nginx, '/v2/', { headers: { 'x-geo-accel': 'offered' } });
  expect(received[0]).not.toHaveProperty('x-geo-accel');
});
