import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { environment } from '../config/environment.ts';
import { type Running, start } from './process.ts';

const program = fileURLToPath(new URL('serving.ts', import.meta.url));
const anyPort = { GEO_LISTEN: '127.0.0.1:0', GEO_ADMIN_LISTEN: '127.0.0.1:0' };

function serving(behaviour: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Running {
  return start([program, ...behaviour], { ...environment(), ...anyPort, ...env });
}

async function takenPort(host = '127.0.0.1'): Promise<number> {
  const server = createServer().listen(0, host);
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test.each(['SIGTERM', 'SIGINT'] as const)('%s closes the proxy and exits 0', async (signal) => {
  const proxy = serving();
  await proxy.said('listening');
  proxy.kill(signal);
  expect(await proxy.ended).toEqual({ code: 0, stdout: 'listening\nclosing\nclosed\n', stderr: '' });
});

test('a second signal exits 1 at once', async () => {
  const proxy = serving(['close-hangs']);
  await proxy.said('listening');
  proxy.kill('SIGTERM');
  await proxy.said('closing');
  proxy.kill('SIGINT');
  expect(await proxy.ended).toEqual({ code: 1, stdout: 'listening\nclosing\n', stderr: '' });
});

test('a signal during the start closes what was started', async () => {
  const proxy = serving(['start-until-signal']);
  await proxy.said('starting');
  proxy.kill('SIGTERM');
  expect(await proxy.ended).toMatchObject({ code: 0, stdout: expect.stringContaining('starting\nclosing\nclosed\n') });
});

test('a close that fails is told and exits 1', async () => {
  const proxy = serving(['close-fails']);
  await proxy.said('listening');
  proxy.kill('SIGTERM');
  const stderr = 'geo-registry-proxy: cannot stop in order: no end\n';
  expect(await proxy.ended).toMatchObject({ code: 1, stderr });
});

test('SIGHUP reloads and the proxy runs on', async () => {
  const proxy = serving();
  await proxy.said('listening');
  proxy.kill('SIGHUP');
  await proxy.said('reloading');
  proxy.kill('SIGTERM');
  expect(await proxy.ended).toMatchObject({ code: 0, stderr: '' });
});

test('a reload that fails is told and the proxy runs on', async () => {
  const proxy = serving(['reload-fails']);
  await proxy.said('listening');
  proxy.kill('SIGHUP');
  await proxy.said('reloading');
  proxy.kill('SIGTERM');
  expect(await proxy.ended).toMatchObject({ code: 0, stderr: 'geo-registry-proxy: cannot reload: no key\n' });
});

test('a start that fails is told with its cause in one line', async () => {
  expect(await serving(['start-fails']).ended).toEqual({
    code: 1,
    stdout: '',
    stderr: 'geo-registry-proxy: no spool: disk on fire\n',
  });
});

test.each(['GEO_LISTEN', 'GEO_ADMIN_LISTEN'])('%s names itself when its port is taken', async (name) => {
  const address = `127.0.0.1:${await takenPort()}`;
  expect(await serving([], { [name]: address }).ended).toEqual({
    code: 1,
    stdout: '',
    stderr: `geo-registry-proxy: ${name}: cannot listen: listen EADDRINUSE: address already in use ${address}\n`,
  });
});

test('the one of two addresses with one port is named that is taken', async () => {
  const port = await takenPort('127.0.0.2');
  const addresses = { GEO_LISTEN: `127.0.0.1:${port}`, GEO_ADMIN_LISTEN: `127.0.0.2:${port}` };
  const { stderr } = await serving([], addresses).ended;
  expect(stderr).toMatch(/^geo-registry-proxy: GEO_ADMIN_LISTEN: cannot listen: listen EADDRINUSE/);
});

test('an address of another machine names its variable', async () => {
  expect(await serving([], { GEO_LISTEN: '192.0.2.1:0' }).ended).toMatchObject({
    code: 1,
    stderr: 'geo-registry-proxy: GEO_LISTEN: cannot listen: listen EADDRNOTAVAIL: address not available 192.0.2.1\n',
  });
});

test('a port that is taken on localhost names its variable', async () => {
  const { stderr } = await serving([], { GEO_ADMIN_LISTEN: `localhost:${await takenPort('localhost')}` }).ended;
  expect(stderr).toMatch(/^geo-registry-proxy: GEO_ADMIN_LISTEN: cannot listen: listen EADDRINUSE/);
});

test('a host name that cannot be looked up names its variable', async () => {
  // A label over 63 characters: the resolver refuses it without asking any server.
  const host = 'x'.repeat(64);
  expect(await serving([], { GEO_LISTEN: `${host}:0` }).ended).toMatchObject({
    code: 1,
    stderr: `geo-registry-proxy: GEO_LISTEN: cannot listen: getaddrinfo ENOTFOUND ${host}\n`,
  });
});
