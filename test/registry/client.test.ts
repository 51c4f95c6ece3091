// One registry over HTTP: the one retry, time to headers, and which failures say something about the registry.
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { RegistryOutage } from '../../src/registry/answer.ts';
import type { Authorizer } from '../../src/registry/authorizer.ts';
import type { Client, RegistryRequest } from '../../src/registry/client.ts';
import { discard } from '../../src/registry/response.ts';
import { waitFor } from '../support/tool.ts';
import { startBlackHole } from './black-hole.ts';
import { startRawServer, type Answering, type RawServer } from './raw-server.ts';
import { scaled } from '../support/patience.ts';

const servers: RawServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

async function serve(answering: Answering): Promise<RawServer> {
  const server = await startRawServer(answering);
  servers.push(server);
  return server;
}

const get: RegistryRequest = { method: 'GET', target: '/v2/', access: undefined, timeout: scaled(20_000) };
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

test('a registry that hangs is given up in time, and after one time-out a probe opens the breaker', async () => {
  const server = await serve(hang);
  const client = server.client({ threshold: 5 });
  const { message, isTimeout } = await outageOf(client.send({ ...get, target: '/v2/a', timeout: 300 }));
  expect({ message, isTimeout }).toEqual({ message: 'primary: no answer in 300 ms', isTimeout: true });
  await waitFor(() => client.breaker.isOpen, { what: 'the breaker to open' });
  expect((await outageOf(client.send(get))).message).toBe('primary: circuit breaker open');
  expect(server.requests).toEqual(['GET /v2/a', 'GET /v2/']);
});

const odd: Answering = (request, response) => {
  if (!request.url?.startsWith('/v2/odd')) response.end('{}');
};

test.each(['GET', 'HEAD', 'DELETE'] as const)(
  'a slow answer to one odd %s opens nothing, however often',
  async (method) => {
    const server = await serve(odd);
    const client = server.client({ threshold: 2 });
    for (let times = 1; times <= 6; times += 1) {
      expect((await outageOf(client.send({ ...get, method, target: '/v2/odd', timeout: 20 }))).isTimeout).toBe(true);
      await waitFor(() => server.requests.includes('GET /v2/'), { what: 'the probe' });
      expect(await text(client, { ...get, target: '/v2/even' })).toBe('{}');
    }
    expect(client.breaker.isOpen).toBe(false);
  },
);

test('a registry that answers HEAD and hangs at GET is found out', async () => {
  const server = await serve((request, response) => {
    if (request.method === 'HEAD') response.end();
  });
  const client = server.client();
  const head: RegistryRequest = { ...get, method: 'HEAD', target: '/v2/a' };
  await outageOf(client.send({ ...get, target: '/v2/a', timeout: 300 }));
  while (!client.breaker.isOpen) await client.send(head).then(discard, () => undefined);
  expect(server.requests.filter((asked) => asked.startsWith('GET'))).toEqual(['GET /v2/a', 'GET /v2/']);
});

test('what waits is ended when the breaker opens, but for writes, which may have had their effect', async () => {
  const server = await serve(hang);
  const client = server.client({ suspectFor: 50 });
  const long = { ...get, timeout: 60_000 };
  const reads = [client.send({ ...long, target: '/v2/a' }), client.send({ ...long, method: 'HEAD', target: '/v2/b' })];
  const write = client.send({ ...long, method: 'PUT', target: '/v2/c', body: Buffer.from('{}') });
  await waitFor(() => server.requests.length === 3, { what: 'all to be asked' });
  const first = outageOf(client.send({ ...get, target: '/v2/d', timeout: 20 }));
  for (const read of reads) expect((await outageOf(read)).message).toBe('primary: circuit breaker open');
  await first;
  let isOver = false;
  void write.catch(() => (isOver = true));
  await new Promise(setImmediate);
  expect({ isOpen: client.breaker.isOpen, isOver }).toEqual({ isOpen: true, isOver: false });
});

test('the probe has a connection of its own where all others hang', async () => {
  const server = await serve((request, response) => {
    if (request.url === '/v2/') response.end('{}');
  });
  const client = server.client({ connections: 1 });
  const held = client.send({ ...get, target: '/v2/a', timeout: 60_000 }).catch(() => undefined);
  await waitFor(() => server.requests.length === 1, { what: 'the first' });
  const { message } = await outageOf(client.send({ ...get, target: '/v2/b', timeout: 20 }));
  expect(message).toBe('primary: no free connection in 20 ms');
  await waitFor(() => server.requests.includes('GET /v2/'), { what: 'the probe' });
  expect({ isOpen: client.breaker.isOpen, connections: server.connections }).toEqual({ isOpen: false, connections: 2 });
  void held;
});

test('a registry whose network swallows connections is found out as one that hangs', async () => {
  const hole = await startBlackHole();
  onTestFinished(() => hole.close());
  const server = await serve(ok);
  const client = server.client({ origin: hole.url, suspectFor: 50 });
  expect((await outageOf(client.send({ ...get, timeout: 20 }))).isTimeout).toBe(true);
  await waitFor(() => client.breaker.isOpen, { what: 'the breaker to open' });
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

/** The first call of one, all others of the other. */
function firstThen<T extends (...args: never[]) => unknown>(first: T, others: T): T {
  let calls = 0;
  return ((...args) => ((calls += 1) === 1 ? first : others)(...args)) as T;
}

const unknown: Authorizer['header'] = () => Promise.resolve(undefined);
const never = (): Promise<never> => new Promise(() => {});

test('a token service that hangs costs one request its time, whether at first or after a 401', async () => {
  const server = await serve(
    (request, response) => void response.writeHead(request.headers.authorization ? 200 : 401).end(),
  );
  const access = [{ type: 'repository', name: 'a', actions: ['pull'] }] as const;
  // The one for `/v2/` is remembered.
  const known: Authorizer = {
    header: (asked) => (asked.length > 0 ? never() : Promise.resolve('Basic x')),
    renew: never,
  };
  for (const authorizer of [known, { ...known, header: firstThen<Authorizer['header']>(unknown, known.header) }]) {
    const client = server.client({ authorizer, suspectFor: 50 });
    const { message, isTimeout } = await outageOf(client.send({ ...get, access, timeout: 20 }));
    expect({ message, isTimeout }).toEqual({ message: 'primary: no answer in 20 ms', isTimeout: true });
    await waitFor(() => client.breaker.isOpen, { what: 'the breaker to open' });
  }
});

test('credentials that are refused do not count', async () => {
  const server = await serve(ok);
  const refused = { header: () => Promise.reject(new Error('no such scope')), renew: () => Promise.resolve(false) };
  expect(await outageOf(server.client({ authorizer: refused }).send({ ...get, access: [] }))).toMatchObject({
    message: 'primary: no credentials: no such scope',
    counts: false,
    isTimeout: false,
  });
});

test('a storage that a registry redirects to says nothing about the registry', async () => {
  const storage = await serve((_request, response) => void response.writeHead(503).end());
  const server = await serve(ok);
  const client = server.client({ threshold: 1 });
  expect((await client.send({ ...get, target: new URL('/bytes', storage.url) })).statusCode).toBe(503);
  await storage.close();
  await outageOf(client.send({ ...get, target: new URL('/bytes', storage.url) }));
  expect(client.breaker.isOpen).toBe(false);
});
