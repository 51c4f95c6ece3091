// One registry over HTTP: the one retry, time to headers, and which failures say something about the registry.
import { afterEach, expect, test } from 'vitest';
import { RegistryOutage } from '../../src/registry/answer.ts';
import type { Client, RegistryRequest } from '../../src/registry/client.ts';
import { discard } from '../../src/registry/response.ts';
import { startRawServer, type Answering, type RawServer } from './raw-server.ts';
import { scaled } from '../support/patience.ts';

const servers: RawServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

async function serve(answering: Answering): Promise<RawServer> {
  const server = await startRawServer(answering);
  servers.push(server);
  return server;
}

const get: RegistryRequest = { method: 'GET', target: '/v2/', access: undefined, timeout: scaled(2_000) };
const ok: Answering = (_request, response) => void response.end('{}');
const hang: Answering = () => {};

async function text(client: Client, request: RegistryRequest): Promise<string> {
  return (await client.send(request)).body.text();
}

async function outageOf(work: Promise<unknown>): Promise<RegistryOutage> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RegistryOutage);
  return error as RegistryOutage;
}

const dropReused: Answering = (request, response, nth) => {
  if (nth === 1) response.end('{}');
  else request.socket.destroy();
};

test('a GET on a socket that its peer had closed is made once more', async () => {
  const server = await serve(dropReused);
  const client = server.client({ connections: 1 });
  expect(await text(client, get)).toBe('{}');
  expect(await text(client, get)).toBe('{}');
  expect(server.requests).toHaveLength(3);
  expect(server.connections).toBe(2);
});

test('a request that may have had an effect is never made twice', async () => {
  const server = await serve(dropReused);
  const client = server.client({ connections: 1 });
  await text(client, get);
  await outageOf(client.send({ ...get, method: 'POST' }));
  expect(server.requests).toEqual(['GET /v2/', 'POST /v2/']);
});

test('look-ups one after the other share a connection', async () => {
  const server = await serve((_request, response) => void response.end());
  const client = server.client({ connections: 1 });
  for (let count = 0; count < 5; count += 1) discard(await client.send({ ...get, method: 'HEAD' }));
  expect(server.connections).toBe(1);
});

test('a GET that fails on a fresh socket is not made again', async () => {
  const server = await serve((request) => void request.socket.destroy());
  await outageOf(server.client().send(get));
  expect(server.requests).toHaveLength(1);
});

test('a registry that hangs is given up in time, and that counts', async () => {
  const server = await serve(hang);
  const client = server.client({ threshold: 2 });
  for (let nth = 0; nth < 2; nth += 1) {
    const { message, counts } = await outageOf(client.send({ ...get, timeout: 20 }));
    expect({ message, counts }).toEqual({ message: 'primary: no answer in 20 ms', counts: true });
  }
  expect(client.breaker.isOpen).toBe(true);
});

test('a wait for one of our own connections is given up in time, and does not count', async () => {
  const server = await serve((_request, response) => void response.writeHead(200).write('{'));
  const client = server.client({ connections: 1, threshold: 1 });
  const held = await client.send(get);
  const { message, counts } = await outageOf(client.send({ ...get, timeout: 20 }));
  expect({ message, counts }).toEqual({ message: 'primary: no free connection in 20 ms', counts: false });
  expect(client.breaker.isOpen).toBe(false);
  held.body.on('error', () => undefined).destroy();
});

test('a slow list does not count as an outage', async () => {
  const server = await serve(hang);
  const client = server.client({ threshold: 1 });
  expect((await outageOf(client.send({ ...get, timeout: 20, isSlow: true }))).counts).toBe(false);
  expect(client.breaker.isOpen).toBe(false);
});

test.each([502, 503, 504])('an answer of %i is an outage, whatever becomes of its body', async (status) => {
  const server = await serve((_request, response) => void response.writeHead(status).write('never ends'));
  const client = server.client({ threshold: 1 });
  expect((await outageOf(client.send(get))).message).toBe(`primary: answered ${status}`);
  expect(client.breaker.isOpen).toBe(true);
});

test('an answer of 500 opens nothing', async () => {
  const server = await serve((_request, response) => void response.writeHead(500).end());
  const client = server.client({ threshold: 1 });
  expect((await client.send(get)).statusCode).toBe(500);
  expect(client.breaker.isOpen).toBe(false);
});

test('while the breaker is open neither the registry nor a token service is asked', async () => {
  const server = await serve((_request, response) => void response.writeHead(503).end());
  let asked = 0;
  const authorizer = { header: async () => `Bearer ${(asked += 1)}`, renew: () => Promise.resolve(false) };
  const client = server.client({ threshold: 1, authorizer });
  await outageOf(client.send({ ...get, access: [] }));
  expect((await outageOf(client.send({ ...get, access: [] }))).message).toBe('primary: circuit breaker open');
  expect({ asked, requests: server.requests.length }).toEqual({ asked: 1, requests: 1 });
});

test('credentials that do not come in time count, those that are refused do not', async () => {
  const server = await serve(ok);
  const never = { header: () => new Promise<never>(() => {}), renew: () => Promise.resolve(false) };
  expect(await outageOf(server.client({ authorizer: never }).send({ ...get, access: [], timeout: 20 }))).toMatchObject({
    message: 'primary: no answer in 20 ms',
    counts: true,
  });
  const refused = { header: () => Promise.reject(new Error('no such scope')), renew: () => Promise.resolve(false) };
  expect(await outageOf(server.client({ authorizer: refused }).send({ ...get, access: [] }))).toMatchObject({
    message: 'primary: no credentials: no such scope',
    counts: false,
  });
});

test('a storage that a registry redirects to says nothing about the registry', async () => {
  const storage = await serve((_request, response) => void response.writeHead(503).end());
  const server = await serve(ok);
  const client = server.client({ threshold: 1 });
  await outageOf(client.send({ ...get, target: new URL('/bytes', storage.url) }));
  expect(client.breaker.isOpen).toBe(false);
});
