// Circuit breakers: what a client does opens none, an outage does, and it ends by itself.
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { blob } from '../support/content.ts';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import type { RelayMatch } from '../support/relay.ts';
import { createGate } from '../support/relay-rule.ts';
import { waitFor } from '../support/tool.ts';
import { calm, pushToBoth } from './local-copy.ts';
import { notPing } from './trouble.ts';
import { dial } from './wire.ts';
import { scaled } from '../support/patience.ts';

let site: ProxySite;
const pushed = image('outage');
const [config] = pushed.blobs;
const name = 'out/proj';

beforeAll(async () => {
  site = await startProxySite({ env: { GEO_PRIMARY_TIMEOUT: `${scaled(300)}ms` } });
  await pushToBoth(site, name, 'v1', pushed);
});
afterEach(() => calm(site));
afterAll(() => site.close());

const open = (registry: string): Promise<number> => site.metric('breaker_open', { registry });

async function readiness(): Promise<string> {
  const response = await fetch(`${site.proxy.adminUrl}/readyz`);
  return `${response.status} ${await response.text()}`;
}

test('a client that loops over nonsense changes nothing', async () => {
  const nonsense = [
    `${name}/manifests/${config!.digest}`,
    `${name}/blobs/${pushed.digest}`,
    `${name}/manifests/sha256:${'0'.repeat(64)}`,
    `${name}/manifests/no-such-tag`,
    `${name}/referrers/${config!.digest}`,
    `${name}/tags/list?n=999999999`,
    'UPPER/case/manifests/v1',
    'no/such/repository/tags/list',
    `${'n'.repeat(255)}/manifests/v1`,
    `${name}/blobs/sha512:${'0'.repeat(128)}`,
  ];
  for (let times = 0; times < 8; times += 1) {
    for (const path of nonsense) {
      for (const method of ['GET', 'HEAD'] as const) await site.ask(path, { method });
    }
  }
  // Distribution answers 500 to the digest of a layer that is asked for as a manifest.
  expect(site.relay.count(({ status }) => status === 500)).toBeGreaterThan(7);
  expect(site.localRelay.count(({ status }) => status === 500)).toBeGreaterThan(7);
  expect(await site.metric('breaker_open')).toBe(0);
  expect(await readiness()).toBe('200 ok\n');
  const { status, headers } = await site.ask(`${name}/manifests/v1`);
  expect({ status, warning: headers['warning'] }).toEqual({ status: 200, warning: undefined });
});

test('a primary that hangs is soon no longer waited for, and asked again by itself when it is back', async () => {
  site.relay.rules.push({ hang: true });
  await Promise.all(Array.from({ length: 5 }, (_, nth) => site.ask(`${name}/manifests/no${nth}`)));
  await waitFor(async () => (await open('primary')) === 1, { what: 'the breaker to open' });
  const before = site.relay.count(notPing);
  for (let times = 0; times < 20; times += 1) {
    const { status, headers } = await site.ask(`${name}/manifests/v1`);
    expect({ status, warns: 'warning' in headers }).toEqual({ status: 200, warns: true });
  }
  expect((await site.ask(`${name}/blobs/${config!.digest}`)).status).toBe(200);
  expect((await site.ask('out/none/manifests/v1')).status).toBe(503);
  // Nothing but our own probe.
  expect(site.relay.count(notPing)).toBe(before);
  expect(await readiness()).toMatch(/^200 degraded\n/);
  site.relay.rules.length = 0;
  await waitFor(async () => (await open('primary')) === 0, { what: 'the breaker to close' });
  expect((await site.ask(`${name}/manifests/v1`)).headers['warning']).toBeUndefined();
});

test('a local registry that hangs is soon no longer waited for: the primary serves', async () => {
  const layers = Array.from({ length: 6 }, (_, nth) => blob(1_000, `hanging ${nth}`));
  for (const layer of layers) {
    await pushBlob(site.primaryTarget(name), layer);
    await pushBlob(site.secondaryTarget(name), layer);
  }
  site.localRelay.rules.push({ hang: true });
  const answers = await Promise.all(layers.map(({ digest }) => site.ask(`${name}/blobs/${digest}`)));
  for (const [nth, { body }] of answers.entries()) expect(body.equals(layers[nth]!.bytes)).toBe(true);
  await waitFor(async () => (await open('secondary')) === 1, { what: 'the breaker to open' });
  const asked = site.localRelay.count(({ method, path }) => method === 'GET' && path.includes(config!.digest));
  expect((await site.ask(`${name}/blobs/${config!.digest}`)).status).toBe(200);
  expect(site.localRelay.count(({ method, path }) => method === 'GET' && path.includes(config!.digest))).toBe(asked);
  site.localRelay.rules.length = 0;
  await waitFor(async () => (await open('secondary')) === 0, { what: 'the breaker to close' });
});

// Nothing but the blob's requests count: a tag may be compared in the background meanwhile.
const isAsked: RelayMatch = ({ method, path }) => method === 'GET' && path.includes('/blobs/');

test('clients that leave before the local registry answers open nothing', async () => {
  const gate = createGate();
  site.localRelay.rules.push({ match: isAsked, gate });
  const path = `/v2/${name}/blobs/${config!.digest}`;
  for (let times = 1; times <= 10; times += 1) {
    const socket = await dial(site.proxy.url);
    socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${site.pullToken(name)}\r\n\r\n`);
    await waitFor(() => gate.arrived >= times, { what: 'the request at the local registry' });
    socket.resetAndDestroy();
    await once(socket, 'close');
  }
  await waitFor(() => site.localRelay.count((asked) => isAsked(asked) && asked.state === 'cut') === 10, {
    what: 'all to be given up',
  });
  gate.open();
  expect(await open('secondary')).toBe(0);
  site.relay.reset();
  expect((await site.ask(`${name}/blobs/${config!.digest}`)).status).toBe(200);
  expect(site.relay.count()).toBe(0);
});

test('a registry that was started anew is asked at once, on new connections', async () => {
  expect((await site.ask(`${name}/manifests/v1`)).status).toBe(200);
  await site.relay.down();
  await site.relay.up();
  await site.localRelay.down();
  await site.localRelay.up();
  const { status, headers } = await site.ask(`${name}/manifests/v1`);
  expect({ status, warning: headers['warning'] }).toEqual({ status: 200, warning: undefined });
  expect((await site.ask(`${name}/blobs/${config!.digest}`)).status).toBe(200);
  expect(site.relay.requests.filter(({ path }) => path.includes('/blobs/'))).toEqual([]);
});
