// What nginx shows to the local registry where that is not a token of our own.
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { blob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { startRegistry } from '../support/registry.ts';
import { startRelay } from '../support/relay.ts';
import { freePort, tempDir } from '../support/tool.ts';
import { ask } from './client.ts';
import { startNginx } from './site.ts';

const dev = { user: 'dev', password: 'secret' };
const ends: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const end of ends.splice(0).toReversed()) await end();
});

/** Pulls one blob twice through nginx: its size is known the second time. Answers what nginx sent to the registry. */
async function pullTwice(site: ProxySite, port: number, relay: ProxySite['localRelay']): Promise<string | undefined> {
  const layer = blob(200_000, 'credentials');
  const nginx = await startNginx(port, { registry: relay.port, blobs: '/nonexistent' });
  ends.push(nginx.close);
  await pushBlob(site.primaryTarget('group/project'), layer);
  await pushBlob({ ...site.secondaryTarget('group/project'), url: relay.url }, layer);
  relay.reset();
  const path = `/v2/group/project/blobs/${layer.digest}`;
  for (const _time of [1, 2]) {
    const headers = { authorization: `Bearer ${site.pullToken('group/project')}` };
    const { status, body } = await ask('HTTP/1.1', nginx, path, { headers });
    expect({ status, same: body.equals(layer.bytes) }).toEqual({ status: 200, same: true });
  }
  expect(await site.metric('local_deliveries_total', { by: 'nginx' })).toBe(1);
  const sent = relay.requests.find((asked) => asked.method === 'GET' && asked.headers.via === undefined);
  expect(sent?.path).toBe(path);
  return sent?.headers.authorization;
}

test('nothing, to a registry that is open', async () => {
  const [port, registry] = [await freePort(), await startRegistry({ name: 'open' })];
  const relay = await startRelay({ target: registry.url });
  const site = await startProxySite({
    env: {
      GEO_LISTEN: `127.0.0.1:${port}`,
      GEO_SECONDARY_URL: relay.url,
      GEO_SECONDARY_AUTH: 'none',
      GEO_BLOB_DELIVERY: 'accel-proxy',
    },
  });
  ends.push(registry.close, () => relay.close(), site.close);
  expect(await pullTwice(site, port, relay)).toBe(undefined);
});

/** A Docker configuration with these credentials of the local registry. */
async function configure(site: { localRelay: { url: string } }, password: string): Promise<Record<string, string>> {
  const dir = await tempDir();
  ends.push(dir.remove);
  const auth = Buffer.from(`${dev.user}:${password}`).toString('base64');
  const auths = { [new URL(site.localRelay.url).host]: { auth } };
  await writeFile(join(dir.path, 'config.json'), JSON.stringify({ auths }));
  vi.stubEnv('DOCKER_CONFIG', dir.path);
  return { GEO_SECONDARY_AUTH: 'docker-config', GEO_BLOB_DELIVERY: 'accel-proxy' };
}

const people = { users: { [dev.user]: dev.password }, projects: { [dev.user]: { '**': ['pull', 'push'] } } } as const;

test('a token of the registry’s token service, for credentials of a Docker configuration', async () => {
  const port = await freePort();
  const site = await startProxySite({
    ...people,
    env: async (sites) => ({ ...(await configure(sites, dev.password)), GEO_LISTEN: `127.0.0.1:${port}` }),
  });
  ends.push(site.close);
  const sent = await pullTwice(site, port, site.localRelay);
  const [, payload = ''] = String(sent).split('.');
  const { access } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { access: unknown };
  expect(access).toEqual([expect.objectContaining({ name: 'group/project', actions: ['pull'] })]);
});

test('credentials that the registry does not accept are a reason not to start', async () => {
  await expect(startProxySite({ ...people, env: (sites) => configure(sites, 'wrong') })).rejects.toThrow(
    /^GEO_BLOB_DELIVERY: accel-proxy needs credentials that the local registry accepts/,
  );
});

test('a password is not handed over: a registry that takes nothing else is a reason not to start', async () => {
  const registry = createServer((request, response) => {
    const isIn = request.headers.authorization?.startsWith('Basic ') ?? false;
    response.writeHead(isIn ? 200 : 401, isIn ? {} : { 'www-authenticate': 'Basic realm="registry"' }).end('{}');
  });
  await once(registry.listen(0, '127.0.0.1'), 'listening');
  ends.push(async () => void registry.close());
  const url = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`;
  const env = async () => ({ ...(await configure({ localRelay: { url } }, dev.password)), GEO_SECONDARY_URL: url });
  await expect(startProxySite({ env })).rejects.toThrow(/^GEO_BLOB_DELIVERY: accel-proxy hands nginx a token/);
});
