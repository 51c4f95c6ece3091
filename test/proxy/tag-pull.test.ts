// Many pulls of one tag: the primary is asked little, and a pull that begins after a push never gets the old image.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { image, type Manifest } from '../support/image.ts';
import { startProxySite, type Answer, type ProxySite } from '../support/proxy.ts';
import { scaled } from '../support/patience.ts';
import { pushImage } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { waitFor } from '../support/tool.ts';
import { watchArrivals } from './arrivals.ts';
import { calm, localDigest, pushToBoth, untilLocal } from './local-copy.ts';

let site: ProxySite;
const [old, fresh] = [image('tag old'), image('tag fresh')];

beforeAll(async () => {
  // What waits at a gate is not given up, and asked for anew, while a slow machine brings the rest.
  site = await startProxySite({ env: { GEO_PRIMARY_TIMEOUT: `${scaled(20_000)}ms` } });
});
afterEach(() => calm(site));
afterAll(() => site.close());

const lookUps = (name: string): number =>
  site.relay.count(({ method, path }) => method === 'HEAD' && path === `/v2/${name}/manifests/v1`);
const digestOf = ({ headers }: Answer): string | undefined => headers['docker-content-digest'];
const push = (name: string, manifest: Manifest): Promise<void> => pushImage(site.primaryTarget(name), 'v1', manifest);

test('200 pulls of one tag at once cost the primary four look-ups at a time, eight in all', async () => {
  const name = 'many/pulls';
  // Copying the image would ask the primary for the tag as well.
  await pushToBoth(site, name, 'v1', old);
  await site.ask(`${name}/manifests/v1`);
  site.relay.reset();
  using arrivals = watchArrivals(site.proxy.url);
  const gate = createGate();
  site.relay.rules.push({ match: ({ method, path }) => method === 'HEAD' && path.includes(`/${name}/`), gate });
  const pulls = Array.from({ length: 200 }, () => site.ask(`${name}/manifests/v1`));
  await waitFor(() => arrivals.count === 200 && gate.arrived > 0, { what: 'all pulls to be at the proxy' });
  // However long these take: those who came after the last of them share the next ones.
  expect(lookUps(name)).toBeLessThanOrEqual(4);
  gate.open();
  expect(new Set((await Promise.all(pulls)).map(digestOf))).toEqual(new Set([old.digest]));
  expect(lookUps(name)).toBeLessThanOrEqual(8);
});

test('a pull that begins after a push gets the new image, though an older look-up hangs', async () => {
  const name = 'pull/after-push';
  await push(name, old);
  const gate = createGate();
  site.relay.rules.push({ match: ({ method }) => method === 'HEAD', times: 1, gate });
  const before = site.ask(`${name}/manifests/v1`);
  await waitFor(() => gate.arrived === 1, { what: 'the first look-up' });
  await push(name, fresh);
  expect(digestOf(await site.ask(`${name}/manifests/v1`))).toBe(fresh.digest);
  gate.open();
  expect((await before).status).toBe(200);
});

test('pushes and pulls in turn: each pull is the image that was pushed just before', async () => {
  const name = 'pull/in-turn';
  for (let nth = 0; nth < 10; nth += 1) {
    const pushed = image(`in turn ${nth}`, { layers: 1, size: 100 });
    await push(name, pushed);
    const pulls = await Promise.all([1, 2, 3].map(() => site.ask(`${name}/manifests/v1`)));
    expect(new Set(pulls.map(digestOf))).toEqual(new Set([pushed.digest]));
  }
});

test('the tag here follows the last push', async () => {
  const name = 'pull/last';
  const images = [1, 2, 3].map((nth) => image(`last ${nth}`, { layers: 1, size: 100 }));
  for (const pushed of images) {
    await push(name, pushed);
    await site.ask(`${name}/manifests/v1`, { method: 'HEAD' });
  }
  await untilLocal(site, name, 'v1', images[2]!.digest);
  expect(await localDigest(site, name, 'v1')).toBe(images[2]!.digest);
});

test('with a GEO_TAG_TTL a tag is believed that long, and a 404 never', async () => {
  const name = 'pull/believed';
  // Storing what was pulled would look the tag up, too.
  await site.restart({ GEO_TAG_TTL: '1h', GEO_STORE: 'off' });
  expect((await site.ask(`${name}/manifests/v1`)).status).toBe(404);
  await push(name, old);
  for (let times = 0; times < 3; times += 1) {
    expect(digestOf(await site.ask(`${name}/manifests/v1`))).toBe(old.digest);
  }
  expect(lookUps(name)).toBe(2);
  await push(name, fresh);
  expect(digestOf(await site.ask(`${name}/manifests/v1`))).toBe(old.digest);
  await site.restart();
  expect(digestOf(await site.ask(`${name}/manifests/v1`))).toBe(fresh.digest);
});
