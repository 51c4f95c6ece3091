// The program as a process: what becomes of transfers when it is told to stop, and when it is killed.
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, request, type Dispatcher } from 'undici';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { blob, type SmallBlob } from '../support/content.ts';
import { startProcess, waitUntilReady, type ServerProcess } from '../support/process.ts';
import { pushBlob } from '../support/push.ts';
import { createGate, type Gate } from '../support/relay-rule.ts';
import { startSites, type Sites } from '../support/sites.ts';
import { freePort, waitFor } from '../support/tool.ts';
import { bodyOf, receive } from './download.ts';
import { isStored, untilStored } from './secondary.ts';

const MiB = 1024 * 1024;
const program = fileURLToPath(new URL('../../bin/geo-registry-proxy.cjs', import.meta.url));

let sites: Sites;
let spool: string;

beforeAll(async () => {
  sites = await startSites();
  spool = join(sites.dataDir, 'spool');
});
afterEach(async () => {
  await sites.localRelay.up();
  sites.relay.reset();
  sites.localRelay.reset();
});
afterAll(() => sites.close());

interface Running {
  readonly process: ServerProcess;
  readonly port: number;
  open(layer: SmallBlob): Promise<Dispatcher.ResponseData>;
}

/** Starts the program; its output must never tell of an error that nobody handled. */
async function start(env: Record<string, string> = {}): Promise<Running> {
  const port = await freePort();
  const server = startProcess(process.execPath, [program, 'serve'], {
    env: { PATH: process.env['PATH'], ...sites.env(), GEO_LISTEN: `127.0.0.1:${port}`, ...env },
  });
  const agent = new Agent();
  onTestFinished(async () => {
    await agent.destroy();
    await server.stop();
    expect(server.log()).not.toMatch(/unhandled|uncaught/i);
  });
  await waitUntilReady(server, () => Promise.resolve(server.log().includes('"listening"')), 'the proxy');
  const authorization = `Bearer ${sites.pullToken('stop/app')}`;
  return {
    process: server,
    port,
    open: ({ digest }) =>
      request(`http://127.0.0.1:${port}/v2/stop/app/blobs/${digest}`, {
        dispatcher: agent,
        headers: { authorization },
      }),
  };
}

async function pushed(seed: string, size = 4 * MiB): Promise<SmallBlob> {
  const layer = blob(size, seed);
  await pushBlob(sites.primaryTarget('stop/app'), layer);
  return layer;
}

function holdHalf(layer: SmallBlob): Gate {
  const holdGate = createGate();
  onTestFinished(() => holdGate.open());
  sites.relay.rules.push({ match: bodyOf(layer), holdAfter: layer.size / 2, holdGate });
  return holdGate;
}

function isRefused(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => settle(false)).once('error', () => settle(true));
    socket.once('connect', () => socket.destroy());
  });
}

/** The suffixes of a blob's files in the spool. */
async function filesOf({ digest }: SmallBlob): Promise<string[]> {
  const files = await readdir(spool).catch(() => []);
  const ours = files.filter((name) => name.startsWith(digest.replace(':', '-')));
  return ours.map((name) => name.replace(/^.*\./, '')).sort();
}

test('told to stop, it takes no new connections, and lets an open transfer finish and be stored', async () => {
  const layer = await pushed('finishes');
  const holdGate = holdHalf(layer);
  const proxy = await start();
  const receiving = receive(await proxy.open(layer));
  await waitFor(() => holdGate.arrived === 1, { what: 'half of the blob' });
  process.kill(proxy.process.pid, 'SIGTERM');
  await waitFor(() => isRefused(proxy.port), { what: 'new connections to be refused' });
  expect(proxy.process.running()).toBe(true);
  holdGate.open();
  expect(await receiving).toMatchObject({ digest: layer.digest, whole: true });
  expect(await proxy.process.ended).toBe(0);
  expect(await filesOf(layer)).toEqual([]);
  expect(await isStored(sites, 'stop/app', layer)).toBe(true);
});

test('a transfer that no client waits for any more is finished and stored, too', async () => {
  const layer = await pushed('left before the stop');
  const holdGate = holdHalf(layer);
  const proxy = await start();
  const { body } = await proxy.open(layer);
  await waitFor(() => holdGate.arrived === 1, { what: 'half of the blob' });
  body.on('error', () => {}).destroy();
  process.kill(proxy.process.pid, 'SIGTERM');
  await waitFor(() => isRefused(proxy.port), { what: 'new connections to be refused' });
  holdGate.open();
  expect(await proxy.process.ended).toBe(0);
  expect(await isStored(sites, 'stop/app', layer)).toBe(true);
});

test('a transfer that takes longer than GEO_SHUTDOWN_TIMEOUT is cut, and nothing of it is left', async () => {
  const layer = await pushed('cut');
  const holdGate = holdHalf(layer);
  const proxy = await start({ GEO_SHUTDOWN_TIMEOUT: '300ms' });
  const receiving = receive(await proxy.open(layer));
  await waitFor(() => holdGate.arrived === 1, { what: 'half of the blob' });
  process.kill(proxy.process.pid, 'SIGTERM');
  expect(await proxy.process.ended).toBe(0);
  expect(await receiving).toMatchObject({ whole: false });
  expect(await filesOf(layer)).toEqual([]);
});

test('so is one whose primary does not answer', async () => {
  const layer = await pushed('no answer');
  sites.relay.rules.push({ match: bodyOf(layer), hang: true });
  const proxy = await start({ GEO_SHUTDOWN_TIMEOUT: '300ms', GEO_PRIMARY_TIMEOUT: '1h' });
  const opening = proxy.open(layer).then(
    ({ statusCode, body }) => body.dump().then(() => statusCode),
    () => 'cut',
  );
  await waitFor(() => sites.relay.count(bodyOf(layer)) === 1, { what: 'the request to the primary' });
  process.kill(proxy.process.pid, 'SIGTERM');
  expect(await proxy.process.ended).toBe(0);
  expect(['cut', 503]).toContain(await opening);
});

test('what could not be stored in time waits in the spool for the next start', async () => {
  const layer = await pushed('kept');
  sites.localRelay.rules.push({ match: ({ method }) => method === 'PUT', hang: true });
  const proxy = await start({ GEO_SHUTDOWN_TIMEOUT: '300ms' });
  expect(await receive(await proxy.open(layer))).toMatchObject({ digest: layer.digest, whole: true });
  process.kill(proxy.process.pid, 'SIGTERM');
  expect(await proxy.process.ended).toBe(0);
  expect(await filesOf(layer)).toEqual(['blob', 'json']);
  sites.localRelay.reset();
  await start();
  await untilStored(sites, 'stop/app', layer);
  expect(sites.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
});

test('killed in the middle of a transfer, the next start removes what is of no use', async () => {
  const layer = await pushed('killed');
  const holdGate = holdHalf(layer);
  const killed = await start();
  const receiving = receive(await killed.open(layer));
  await waitFor(() => holdGate.arrived === 1, { what: 'half of the blob' });
  process.kill(killed.process.pid, 'SIGKILL');
  await killed.process.ended;
  expect(await receiving).toMatchObject({ whole: false });
  expect(await filesOf(layer)).toEqual(['part']);
  sites.relay.reset();
  const next = await start();
  await waitFor(async () => (await filesOf(layer)).length === 0, { what: 'the part to be removed' });
  expect(await receive(await next.open(layer))).toMatchObject({ digest: layer.digest, whole: true });
  await untilStored(sites, 'stop/app', layer);
});

test('killed with a blob that was whole and not yet stored, the next start stores it', async () => {
  const layer = await pushed('killed, whole');
  sites.localRelay.rules.push({ match: ({ method }) => method === 'PUT', hang: true });
  const killed = await start();
  expect(await receive(await killed.open(layer))).toMatchObject({ whole: true });
  await waitFor(async () => (await readdir(spool)).some((name) => name.endsWith('.blob')), {
    what: 'the file to be kept',
  });
  process.kill(killed.process.pid, 'SIGKILL');
  await killed.process.ended;
  sites.localRelay.reset();
  await start();
  await untilStored(sites, 'stop/app', layer);
  expect(sites.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
});
