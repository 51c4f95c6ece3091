// F2: what a reader costs in memory does not depend on how much there is to read.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { largeBlob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf } from './download.ts';
import { rawClient } from './raw-client.ts';

const MiB = 1024 * 1024;

let site: ProxySite;

beforeAll(async () => {
  // One connection, whose last byte can be held.
  site = await startProxySite({ knobs: { parts: { connections: 1, size: 64 * MiB, above: 64 * MiB } } });
});
afterAll(() => site.close());

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes of buffers that somebody holds. */
function heldMemory(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

test('forty readers that stand still need less memory than one blob', async () => {
  const layer = await largeBlob(48 * MiB, 'memory');
  const path = `f2/memory/blobs/${layer.digest}`;
  const holdGate = createGate();
  onTestFinished(() => holdGate.open());
  await pushBlob(site.primaryTarget('f2/memory'), layer);
  site.relay.rules.push({ match: bodyOf(layer), holdAfter: layer.size - 1, holdGate });
  await rawClient(site, path).answered();
  await waitFor(() => holdGate.arrived === 1, { what: 'all but one byte' });
  const before = heldMemory();
  const clients = await Promise.all(Array.from({ length: 40 }, () => rawClient(site, path).answered()));
  let [last, still] = [0, 0];
  await waitFor(
    () => {
      const now = heldMemory();
      still = Math.abs(now - last) < MiB ? still + 1 : 0;
      last = now;
      return still === 5;
    },
    { what: 'memory to stand still' },
  );
  expect(clients.every(({ closed }) => !closed)).toBe(true);
  expect(last - before).toBeLessThan(layer.size);
});
