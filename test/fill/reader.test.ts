// F2, F3: readers of one fill are at their own pace, cost little, and own nothing of it.
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { blob, largeBlob, type Blob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { createGate, type Gate } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf, download, receive } from './download.ts';
import { rawClient } from './raw-client.ts';
import { untilStored } from './secondary.ts';
import { scaled } from '../support/patience.ts';

const MiB = 1024 * 1024;
const READER_TIMEOUT = scaled(500);

let site: ProxySite;

beforeAll(async () => {
  site = await startProxySite({ knobs: { readerTimeout: READER_TIMEOUT, linger: 200 } });
});
afterEach(() => {
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(() => site.close());

/** Pushes a blob whose transfer will stop after `holdAfter` bytes until the gate is opened. */
async function heldBlob(content: Blob, holdAfter: number): Promise<{ path: string; holdGate: Gate }> {
  const holdGate = createGate();
  onTestFinished(() => holdGate.open());
  await pushBlob(site.primaryTarget('f2/app'), content);
  site.relay.rules.push({ match: bodyOf(content), holdAfter, holdGate });
  return { path: `f2/app/blobs/${content.digest}`, holdGate };
}

test('a late reader gets at once what is there, from byte 0 and by Range', async () => {
  const layer = blob(4 * MiB, 'late');
  const { path, holdGate } = await heldBlob(layer, 3 * MiB);
  const first = download(site, path);
  await waitFor(() => holdGate.arrived === 1, { what: 'three quarters of the blob' });

  const part = await site.ask(path, { headers: { range: `bytes=1000-${2 * MiB}` } });
  expect(part).toMatchObject({ status: 206, headers: { 'content-range': `bytes 1000-${2 * MiB}/${layer.size}` } });
  expect(part.body.equals(layer.bytes.subarray(1000, 2 * MiB + 1))).toBe(true);

  // All that is there comes while the transfer stands still, and only then it may go on.
  const late = await receive(await site.open(path), (received) => {
    if (received === 3 * MiB) holdGate.open();
  });
  expect([late, await first]).toMatchObject([
    { digest: layer.digest, whole: true },
    { digest: layer.digest, whole: true },
  ]);
  expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
});

test('a reader that stands still holds nobody up, and is dropped after a while', async () => {
  const layer = await largeBlob(24 * MiB, 'stalled');
  const { path } = await heldBlob(layer, layer.size);
  const before = await site.metric('readers_dropped_total');
  const stalled = await rawClient(site, path).answered();
  expect(await download(site, path)).toMatchObject({ digest: layer.digest, whole: true });
  await untilStored(site, 'f2/app', layer);
  await waitFor(async () => (await site.metric('readers_dropped_total')) > before, {
    what: 'the reader to be dropped',
  });
  stalled.resume();
  await waitFor(() => stalled.closed, { what: 'the end of the stalled connection' });
  expect(stalled.bytesRead).toBeLessThan(layer.size);
  await waitFor(async () => (await site.metric('spool_bytes')) === 0, { what: 'the spool to be let go' });
});

test('a client that reads nothing of a long list is dropped, too', async () => {
  const tags = Array.from({ length: 120_000 }, (_, nth) => `${nth}`.padEnd(120, 'x'));
  site.relay.rules.push({
    match: ({ path }) => path.startsWith('/v2/f2/long/tags/list'),
    answer: {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'f2/long', tags }),
    },
  });
  const before = await site.metric('readers_dropped_total');
  const stalled = await rawClient(site, 'f2/long/tags/list').answered();
  await waitFor(async () => (await site.metric('readers_dropped_total')) > before, {
    what: 'the client to be dropped',
  });
  stalled.resume();
  await waitFor(() => stalled.closed, { what: 'the end of the stalled connection' });
});

test('a reader that waits for a slow primary is not dropped', async () => {
  const slow = blob(2 * MiB, 'slow primary');
  const { path, holdGate } = await heldBlob(slow, MiB);
  const waiting = download(site, path);
  await waitFor(() => holdGate.arrived === 1, { what: 'half of the blob' });

  // Whoever began to stand still after it, and is dropped, shows that its time was up, too.
  const other = await largeBlob(24 * MiB, 'stalled meanwhile');
  const { path: otherPath } = await heldBlob(other, other.size);
  const before = await site.metric('readers_dropped_total');
  await rawClient(site, otherPath).answered();
  await waitFor(async () => (await site.metric('readers_dropped_total')) > before, { what: 'the other to be dropped' });
  holdGate.open();
  expect(await waiting).toMatchObject({ digest: slow.digest, whole: true });
});

test('a blob that all clients left still arrives and is stored', async () => {
  const layer = blob(3 * MiB, 'left');
  const { path, holdGate } = await heldBlob(layer, MiB);
  const clients = await Promise.all([1, 2, 3].map(() => site.open(path)));
  await Promise.all(
    clients.map(
      ({ body }) =>
        new Promise((gone) =>
          body
            .on('error', () => {})
            .once('close', gone)
            .destroy(),
        ),
    ),
  );
  // A whole request later the proxy has seen them go.
  expect(await site.ask('', { token: site.pullToken('f2/app') })).toMatchObject({ status: 200 });
  holdGate.open();
  await untilStored(site, 'f2/app', layer);
  expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
});

test('a client that leaves before its answer begins leaves nothing behind', async () => {
  const layer = blob(MiB, 'left early');
  const { path } = await heldBlob(layer, layer.size);
  const gate = createGate();
  site.relay.rules.unshift({ match: bodyOf(layer), gate });
  const { socket } = rawClient(site, path);
  await waitFor(() => gate.arrived === 1, { what: 'the request to the primary' });
  socket.destroy();
  // Nothing said that there is such a blob: the question goes with the client.
  const isOpen: RelayMatch = (request) => bodyOf(layer)(request) && request.state === 'open';
  await waitFor(() => site.relay.count(isOpen) === 0, { what: 'the question to be given up' });
  gate.open();
  // Blobs of the tests before may still be stored.
  await waitFor(async () => (await site.metric('spool_bytes')) === 0, { what: 'an empty spool', timeout: 30_000 });
  expect(await download(site, path)).toMatchObject({ digest: layer.digest, whole: true });
});
