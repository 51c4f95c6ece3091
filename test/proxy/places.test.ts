// Who asks for much of one kind leaves connections to the primary to those who only look a tag up.
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { blob, type Blob } from '../support/content.ts';
import { image, manifest } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { createGate, type Gate } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';
import { calm, pushToBoth } from './local-copy.ts';

let site: ProxySite;
const name = 'places/app';
const pushed = image('places');
const MANY = Array.from({ length: 20 }, (_, nth) => nth);

beforeAll(async () => {
  // Two slots for blobs, six connections for look-ups; a quarter of all is two.
  site = await startProxySite({ env: { GEO_FETCH_CONNECTIONS: '8' } });
  await pushToBoth(site, name, 'v1', pushed);
});
afterEach(() => calm(site));
afterAll(() => site.close());

const isList: RelayMatch = ({ path }) => path.includes('/tags/list');
const isManifest: RelayMatch = ({ method, path }) => method === 'GET' && path.includes('/manifests/sha256:');
const isBlob: RelayMatch = ({ method, path }) => method === 'GET' && path.includes('/blobs/');

function hold(match: RelayMatch): Gate {
  const gate = createGate();
  onTestFinished(() => gate.open());
  site.relay.rules.push({ match, gate });
  return gate;
}

/** Takes both slots, and resolves when the primary was asked for both blobs. */
async function holdSlots(seed: string): Promise<void> {
  const gate = hold(isBlob);
  const blobs: Blob[] = [blob(10, `${seed} one`), blob(10, `${seed} two`)];
  // Of blobs that no manifest names only one would have a slot.
  const both = manifest({ layers: blobs });
  await pushImage(site.primaryTarget(name), 'both', both);
  expect((await site.ask(`${name}/manifests/${both.digest}`, { method: 'HEAD' })).status).toBe(200);
  const asked = blobs.map(({ digest }) => site.ask(`${name}/blobs/${digest}`));
  onTestFinished(async () => {
    gate.open();
    await Promise.all(asked);
  });
  await waitFor(() => gate.arrived === 2, { what: 'both blobs' });
}

async function expectFresh(): Promise<void> {
  const { status, headers } = await site.ask(`${name}/manifests/v1`, { method: 'HEAD' });
  expect({ status, warning: headers['warning'] }).toEqual({ status: 200, warning: undefined });
}

test.each([
  ['lists', isList, 1, (nth: number) => `${name}/tags/list?n=${nth + 1}`],
  ['unknown manifests', isManifest, 2, (nth: number) => `${name}/manifests/${blob(10, `no manifest ${nth}`).digest}`],
])('%s that are many leave a tag its look-up, also where blobs have all slots', async (what, match, most, path) => {
  await holdSlots(what);
  const gate = hold(match);
  const asked = MANY.map((nth) => site.ask(path(nth)));
  await waitFor(() => gate.arrived >= most, { what: 'the first of them' });
  await expectFresh();
  expect(gate.arrived).toBe(most);
  gate.open();
  const statuses = new Set((await Promise.all(asked)).map(({ status }) => status));
  expect(statuses).toEqual(new Set([match === isList ? 200 : 404]));
});

test('lists have a quarter of all connections where blobs leave slots free, and no more', async () => {
  const gate = hold(isList);
  const asked = MANY.map((nth) => site.ask(`${name}/tags/list?n=${nth + 1}`));
  await waitFor(() => gate.arrived >= 2, { what: 'the first of them' });
  await expectFresh();
  expect(gate.arrived).toBe(2);
  gate.open();
  for (const { status, headers } of await Promise.all(asked)) {
    expect({ status, warning: headers['warning'] }).toEqual({ status: 200, warning: undefined });
  }
});
