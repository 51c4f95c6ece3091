// Where a primary's redirect may not lead: to what only this machine reaches, and to the proxy's own listeners.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { calm } from './local-copy.ts';

/** An HTTP double: a host and what it has been asked. */
interface Double {
  readonly server: Server;
  readonly url: string;
  readonly asked: string[];
}

const doubles: Double[] = [];

async function startDouble(host: string, answer: (path: string) => { location?: string; body?: string }) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const { location, body = '{}' } = answer(request.url ?? '');
    if (location !== undefined) return void response.writeHead(307, { location }).end();
    return void response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(body);
  });
  await once(server.listen(0, host), 'listening');
  const double = { server, url: `http://${host}:${(server.address() as AddressInfo).port}`, asked };
  doubles.push(double);
  return double;
}

let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite();
});
afterEach(async () => {
  site.log.length = 0;
  await calm(site);
});
afterAll(async () => {
  await site.close();
  for (const { server } of doubles) server.close().closeAllConnections();
});

const layer = blob(20_000, 'anything');
const path = `inner/app/blobs/${layer.digest}`;

/** Lets the primary answer the blob with a redirect. */
function leadTo(location: string): void {
  site.relay.rules.push({
    match: ({ path: asked }) => asked.includes(layer.digest),
    answer: { status: 307, headers: { location } },
  });
}

const adminPort = (): string => new URL(site.proxy.adminUrl).port;

/** Asks for the blob in every way, and expects that nothing of it comes, and a line that says why. */
async function expectRefused(reason: RegExp): Promise<void> {
  const asking = [{}, { headers: { range: 'bytes=0-99' } }, { headers: { range: 'bytes=-5' } }];
  for (const each of asking) {
    const answer = await site.ask(path, each);
    expect({ status: answer.status, code: answer.code }).toEqual({ status: 503, code: 'UNAVAILABLE' });
    expect(answer.headers).not.toHaveProperty('location');
  }
  expect((await site.ask(path, { method: 'HEAD' })).status).toBe(503);
  const reasons = site.log.map(({ cause }) => String(cause));
  expect(reasons.filter((text) => reason.test(text)).length).toBeGreaterThanOrEqual(4);
  expect(await site.metric('breaker_open')).toBe(0);
}

describe('one of our own listeners', () => {
  test.each(['127.0.0.1', 'localhost', '[::1]', '0.0.0.0', '2130706433', '[::ffff:127.0.0.1]'])(
    'is not read by a redirect to %s',
    async (host) => {
      leadTo(`http://${host}:${adminPort()}/metrics`);
      await expectRefused(/is a listener of this proxy$/);
    },
  );

  test('nor by a second redirect', async () => {
    const storage = await startDouble('127.0.0.1', () => ({ location: `${site.proxy.adminUrl}/metrics` }));
    leadTo(`${storage.url}/first`);
    await expectRefused(/is a listener of this proxy$/);
    expect(storage.asked.length).toBeGreaterThan(0);
  });

  test('nor is it asked for blobs', async () => {
    leadTo(`${site.proxy.url}/v2/${path}`);
    await expectRefused(/is a listener of this proxy$/);
  });

  test('GEO_REDIRECT_HOSTS does not open it', async () => {
    await site.restart({ GEO_REDIRECT_HOSTS: '127.0.0.1, localhost' });
    leadTo(`${site.proxy.adminUrl}/metrics`);
    await expectRefused(/is a listener of this proxy$/);
  });
});

test.each([
  'http://169.254.169.254/latest/meta-data/',
  'http://[fe80::1]/',
  'http://[fd00:ec2::254]/',
  'http://224.0.0.1/',
])('%s is not asked for, since the primary is not there either', async (location) => {
  leadTo(location);
  await expectRefused(/address, and not allowed by GEO_REDIRECT_HOSTS$/);
});

const outside = Object.values(networkInterfaces())
  .flatMap((entries) => entries ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

describe.skipIf(outside === undefined)('a primary that is not on this machine’s loopback', () => {
  let inner: Double;
  let location = '';
  let env: Record<string, string> = {};
  beforeAll(async () => {
    const primary = await startDouble(outside!, (asked) => (asked.includes('/blobs/') ? { location } : {}));
    inner = await startDouble('127.0.0.1', () => ({ body: layer.bytes.toString('latin1') }));
    location = `${inner.url}/blob`;
    env = { GEO_PRIMARY_URL: primary.url, GEO_PRIMARY_AUTH: 'none' };
    await site.restart(env);
  });

  test('leads nowhere there', async () => {
    await expectRefused(/127\.0\.0\.1:\d+ is a loopback address, and not allowed by GEO_REDIRECT_HOSTS$/);
    location = location.replace('127.0.0.1', 'localhost');
    await expectRefused(/localhost:\d+ \(127\.0\.0\.1\) is a loopback address/);
    expect(inner.asked).toEqual([]);
  });

  test('but where GEO_REDIRECT_HOSTS allows it', async () => {
    const { port } = new URL(inner.url);
    await site.restart({ ...env, GEO_REDIRECT_HOSTS: `localhost:${port}` });
    expect((await site.ask(path, { method: 'HEAD' })).status).toBe(200);
    expect(inner.asked).toEqual(['GET /blob']);
  });
});
