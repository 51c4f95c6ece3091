// What nginx/registry.conf sends to the proxy and says in its place, seen by an upstream that the tests control.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeEach, beforeAll, expect, test } from 'vitest';
import { ask } from './client.ts';
import { hostname, startNginx, type Nginx } from './site.ts';

let upstream: Server;
let nginx: Nginx;
let received: IncomingHttpHeaders[];
let connections: number;

beforeAll(async () => {
  const known = new WeakSet();
  upstream = createServer((request, response) => {
    received.push(request.headers);
    const { pathname } = new URL(request.url ?? '/', 'http://upstream');
    const isKept = known.has(request.socket);
    known.add(request.socket);
    if (pathname === '/v2/hang-up' || (pathname === '/v2/stale' && isKept)) return void request.socket.destroy();
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
