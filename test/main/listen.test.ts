// Listening: bursts of connections, taken ports, and the end.
import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { connect, Server, type AddressInfo, type Socket } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, expect, test, vi } from 'vitest';
import { listenWidely, type Listening } from '../../src/main/listen.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

const BURST = 64;
const HOST = '127.0.0.1';

interface Made extends Listening {
  readonly app: FastifyInstance;
  readonly port: number;
}

const listen = (app: FastifyInstance, port: number): Promise<Listening> =>
  listenWidely(app.server, (options) => app.listen(options), { host: HOST, port });

async function listening(app: FastifyInstance = Fastify({ forceCloseConnections: 'idle' }), port = 0): Promise<Made> {
  const made = await listen(app, port);
  ends.push(async () => {
    app.server.closeAllConnections();
    await Promise.all([app.close(), made.close()]);
  });
  return { ...made, app, port: (app.server.address() as AddressInfo).port };
}

test('a burst of connections is taken in a few turns of the loop', async () => {
  const { app, port } = await listening();
  let [turn, taken] = [0, 0];
  const all = new Promise<void>((resolve) => {
    app.server.on('connection', () => {
      taken += 1;
      if (taken === BURST) resolve();
    });
  });
  const count = (): void => {
    turn += 1;
    if (taken < BURST) setImmediate(count);
  };
  const sockets = Array.from({ length: BURST }, () => connect(port, HOST));
  ends.push(() => sockets.forEach((socket) => socket.destroy()));
  // Until all of them wait to be taken nothing else happens: the kernel has them, and the loop stands still.
  const until = performance.now() + 100;
  while (performance.now() < until);
  setImmediate(count);
  await all;
  expect(turn).toBeLessThan(BURST / 2);
});

test('each connection is the application’s, whichever socket took it', async () => {
  const app = Fastify({ forceCloseConnections: 'idle' });
  app.get('/', async (request) => request.ip);
  const { port } = await listening(app);
  const agent = new Agent({ keepAlive: true });
  ends.push(() => agent.destroy());
  const answers = await Promise.all(
    Array.from({ length: BURST }, async () => {
      const [response] = (await once(get({ host: HOST, port, path: '/', agent }), 'response')) as [IncomingMessage];
      return Buffer.concat(await response.toArray()).toString();
    }),
  );
  expect(new Set(answers)).toEqual(new Set([HOST]));
});

test('a port that another one listens at is refused, though that one shares it among its own sockets', async () => {
  const { port } = await listening();
  const second = Fastify();
  ends.push(() => second.close());
  await expect(listen(second, port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await expect(second.listen({ host: HOST, port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('where the system shares no port out there is one socket', async () => {
  const { listen: own } = Server.prototype;
  const asked = vi.spyOn(Server.prototype, 'listen').mockImplementation(function (this: Server, ...given: unknown[]) {
    if (!(given[0] as { reusePort?: boolean }).reusePort) return own.apply(this, given as never);
    queueMicrotask(() => this.emit('error', Object.assign(new Error('not here'), { code: 'ENOTSUP' })));
    return this;
  });
  ends.push(() => asked.mockRestore());
  const app = Fastify({ forceCloseConnections: 'idle' });
  app.get('/', async () => 'here');
  const { port } = await listening(app);
  const [response] = (await once(get({ host: HOST, port, path: '/' }), 'response')) as [IncomingMessage];
  expect(Buffer.concat(await response.toArray()).toString()).toBe('here');
});

test('at the end idle connections are closed, and answers under way are waited for', async () => {
  const app = Fastify({ forceCloseConnections: 'idle' });
  const gate = Promise.withResolvers<void>();
  let asked = 0;
  app.get('/', async () => {
    asked += 1;
    if (asked === BURST) all.resolve();
    await gate.promise;
    return 'late';
  });
  const all = Promise.withResolvers<void>();
  const made = await listening(app);
  const idle: Socket[] = Array.from({ length: BURST }, () => connect(made.port, HOST));
  await Promise.all(idle.map((socket) => once(socket, 'connect')));
  const pending = Array.from({ length: BURST }, () =>
    once(get({ host: HOST, port: made.port, path: '/', headers: { connection: 'close' } }), 'response'),
  );
  await all.promise;
  let isOver = false;
  const ended = Promise.all([app.close(), made.close()]).then(() => (isOver = true));
  await Promise.all(idle.map((socket) => once(socket.resume(), 'close')));
  expect(isOver).toBe(false);
  gate.resolve();
  for (const [response] of (await Promise.all(pending)) as [IncomingMessage][]) {
    expect(Buffer.concat(await response.toArray()).toString()).toBe('late');
  }
  await ended;
});
