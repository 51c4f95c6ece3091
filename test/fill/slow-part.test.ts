// A client that takes next to nothing of a part that comes straight from the primary does not keep its slot.
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { largeBlob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf, firstByteOf } from './download.ts';
import { rawClient } from './raw-client.ts';
import { scaled } from '../support/patience.ts';

const MiB = 1024 * 1024;

let site: ProxySite;

beforeAll(async () => {
  site = await startProxySite({ knobs: { leastRate: { bytes: 64 * 1024, window: scaled(300) } } });
});
afterAll(() => site.close());

test('a client of a part that stands still is dropped, and the fill goes on', async () => {
  const layer = await largeBlob(48 * MiB, 'slow part');
  await pushBlob(site.primaryTarget('f7/slow'), layer);
  const holdGate = createGate();
  onTestFinished(() => holdGate.open());
  const isFlight = (request: Parameters<ReturnType<typeof bodyOf>>[0]): boolean =>
    bodyOf(layer)(request) && firstByteOf(request) < 16 * MiB;
  site.relay.rules.push({ match: isFlight, holdAfter: MiB, holdGate });
  const client = rawClient(site, `f7/slow/blobs/${layer.digest}`, { range: `bytes=${17 * MiB}-` });
  const stalled = await client.answered();
  await waitFor(async () => (await site.metric('readers_dropped_total')) === 1, { what: 'the client to be dropped' });
  stalled.resume();
  await waitFor(() => stalled.closed, { what: 'the end of the connection' });
  expect(stalled.bytesRead).toBeLessThan(31 * MiB);
  expect(await site.metric('flights_total')).toBe(0);
});
