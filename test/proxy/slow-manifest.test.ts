// Manifests that come a byte a second do not keep others from theirs.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { waitFor } from '../support/tool.ts';
import type { RelayMatch } from '../support/relay.ts';

let site: ProxySite;

beforeAll(async () => {
  site = await startProxySite({ env: { GEO_PRIMARY_TIMEOUT: '2s' } });
});
afterAll(() => site.close());

test('four manifests at a byte a second leave another cold one its place', async () => {
  const images = ['a', 'b', 'c', 'd', 'other'].map((seed) => image(`slow manifest ${seed}`));
  for (const [nth, one] of images.entries()) await pushImage(site.primaryTarget('slow/app'), `v${nth}`, one);
  const other = images.pop()!;
  const slow = images.map(({ digest }) => digest);
  const isSlow: RelayMatch = ({ method, path }) => method === 'GET' && slow.some((digest) => path.endsWith(digest));
  site.relay.rules.push({ match: isSlow, bytesPerSecond: 1 });
  const waiting = slow.map((digest) => site.ask(`slow/app/manifests/${digest}`));
  await waitFor(() => site.relay.requests.filter((one) => isSlow(one) && one.bodyBytes > 0).length === 4, {
    what: 'four slow bodies',
  });
  expect((await site.ask(`slow/app/manifests/${other.digest}`)).status).toBe(200);
  expect(await Promise.all(waiting)).toMatchObject(slow.map(() => ({ status: 503 })));
});
