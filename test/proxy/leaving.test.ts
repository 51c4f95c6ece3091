// Clients that leave in the middle: nothing crashes, and no request of theirs to a registry stays open.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { blob, type SmallBlob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { manifest } from '../support/image.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import type { Relay } from '../support/relay.ts';
import { isFromStart } from '../fill/download.ts';
import { createGate, type Gate, type RelayRule } from '../support/relay-rule.ts';
import { waitFor } from '../support/tool.ts';
import { calm, hasLocalBlob } from './local-copy.ts';
import { dial } from './wire.ts';

const size = 12_000_000;

let site: ProxySite;
let name: string;
let layer: SmallBlob;
let gate: Gate;
let count = 0;

beforeAll(async () => {
  site = await startProxySite();
});
beforeEach(async () => {
  name = `leave/no${(count += 1)}`;
  layer = blob(size, name);
  gate = createGate();
  await pushBlob(site.primaryTarget(name), layer);
});
afterEach(async () => {
  gate.open();
  await calm(site);
});
afterAll(() => site.close());

/** Asks for the blob and reads nothing of the answer by itself. */
async function begin(headers: Record<string, string> = {}, { digest } = layer): Promise<Socket> {
  const socket = await dial(site.proxy.url);
  socket.on('error', () => undefined);
  const fields = { host: 'x', authorization: `Bearer ${site.pullToken(name)}`, ...headers };
  const lines = Object.entries(fields).map(([header, value]) => `${header}: ${value}\r\n`);
  socket.write(`GET /v2/${name}/blobs/${digest} HTTP/1.1\r\n${lines.join('')}\r\n`);
  return socket;
}

async function reset(socket: Socket): Promise<void> {
  socket.resetAndDestroy();
  if (!socket.closed) await once(socket, 'close');
}

const isBody = ({ method, path }: { method: string; path: string }): boolean =>
  method === 'GET' && path.includes(layer.digest);

const isOpen = ({ state }: { state: string }): boolean => state === 'open';

const untilHere = (): Promise<true> =>
  waitFor(() => hasLocalBlob(site, name, layer.digest), { what: 'the blob in the secondary' });

/** Asks, and leaves when the relay's rule has brought the transfer to the gate. */
async function leaveAtGate(relay: Relay, rule: RelayRule, headers?: Record<string, string>): Promise<void> {
  relay.rules.push({ match: isBody, ...rule });
  const socket = await begin(headers);
  await waitFor(() => gate.arrived > 0, { what: 'the transfer at the gate' });
  await reset(socket);
}

async function untilNothingIsOpen(relay: Relay): Promise<void> {
  await waitFor(() => relay.count((request) => isBody(request) && request.state === 'open') === 0, {
    what: 'the requests to end',
  });
}

async function expectHealthy(): Promise<void> {
  site.relay.rules.length = 0;
  site.localRelay.rules.length = 0;
  gate.open();
  const answer = await site.ask(`${name}/blobs/${layer.digest}`);
  expect(answer.body.equals(layer.bytes)).toBe(true);
  expect(await site.metric('breaker_open')).toBe(0);
}

describe('a hit ends with its client', () => {
  beforeEach(() => pushBlob(site.secondaryTarget(name), layer));

  test('while its headers are awaited', async () => {
    await leaveAtGate(site.localRelay, { gate });
    await untilNothingIsOpen(site.localRelay);
    await expectHealthy();
  });

  test('while its bytes are proved', async () => {
    layer = blob(500_000, `${name} small`);
    await pushBlob(site.primaryTarget(name), layer);
    await pushBlob(site.secondaryTarget(name), layer);
    site.localRelay.rules.push({ match: isBody, times: 1 });
    await leaveAtGate(site.localRelay, { gate });
    gate.open();
    await untilNothingIsOpen(site.localRelay);
    await expectHealthy();
  });

  test('in the middle of its body', async () => {
    await leaveAtGate(site.localRelay, { holdAfter: 1_000_000, holdGate: gate });
    await untilNothingIsOpen(site.localRelay);
    await expectHealthy();
  });

  test('while it is continued from the primary', async () => {
    site.localRelay.rules.push({ match: isBody, cutAfter: 1_000_000 });
    site.relay.rules.push({ match: isBody, holdAfter: 1_000_000, holdGate: gate });
    const socket = await begin();
    socket.resume();
    await waitFor(() => gate.arrived > 0, { what: 'the primary’s part at the gate' });
    await reset(socket);
    await untilNothingIsOpen(site.relay);
    await expectHealthy();
  });

  test('while the primary’s headers for its continuation are awaited', async () => {
    site.localRelay.rules.push({ match: isBody, cutAfter: 1_000_000 });
    site.relay.rules.push({ match: isBody, gate });
    const socket = await begin();
    socket.resume();
    await waitFor(() => gate.arrived > 0, { what: 'the primary at the gate' });
    await reset(socket);
    await expectHealthy();
    await untilNothingIsOpen(site.relay);
  });

  test('that is slow holds up nobody else', async () => {
    const slow = await begin();
    await once(slow, 'readable');
    await expectHealthy();
    await reset(slow);
    await untilNothingIsOpen(site.localRelay);
  });
});

describe('a fill outlives its client', () => {
  test('that left while the headers of a blob that a manifest names were awaited', async () => {
    await pushImage(site.primaryTarget(name), 'v1', manifest({ layers: [layer] }));
    expect((await site.ask(`${name}/manifests/v1`, { method: 'HEAD' })).status).toBe(200);
    await leaveAtGate(site.relay, { gate });
    gate.open();
    await untilHere();
    await expectHealthy();
  });

  test('that left in the middle of its body', async () => {
    await leaveAtGate(site.relay, { holdAfter: 1_000_000, holdGate: gate });
    gate.open();
    await untilHere();
    expect(site.relay.bodyBytes(isBody)).toBe(size);
    await expectHealthy();
  });

  test('but a part from far ahead ends with its own', async () => {
    site.relay.rules.push({
      match: (request) => isBody(request) && isFromStart(request),
      holdAfter: 100,
      holdGate: gate,
    });
    const whole = await begin();
    whole.resume();
    await waitFor(() => gate.arrived === 1, { what: 'the fill at the gate' });
    const far = createGate();
    site.relay.rules.push({ match: isBody, holdAfter: 1_000, holdGate: far });
    const part = await begin({ range: `bytes=${size - 100_000}-` });
    await waitFor(() => far.arrived === 1, { what: 'the far part at the gate' });
    await reset(part);
    await waitFor(() => site.relay.count(isOpen) === 1, { what: 'the far part to end' });
    expect(site.relay.requests.filter(isOpen).map(isFromStart)).toEqual([true]);
    await reset(whole);
    await expectHealthy();
  });
});

test('forty clients that leave anywhere leave nothing behind', async () => {
  await pushBlob(site.secondaryTarget(name), layer);
  const cold = blob(3_000_000, `${name} cold`);
  await pushBlob(site.primaryTarget(name), cold);
  await Promise.all(
    Array.from({ length: 40 }, async (_, nth) => {
      // At none of its bytes, at some, at all.
      const enough = (nth % 8) * 500_000;
      const socket = await begin(nth % 3 === 0 ? { range: `bytes=${nth}-` } : {}, nth % 2 === 0 ? cold : layer);
      let seen = 0;
      if (enough > 0) {
        socket.on('data', (chunk: Buffer) => (seen += chunk.length));
        await waitFor(() => seen >= Math.min(enough, 2_500_000), { what: `${enough} bytes` });
      }
      await reset(socket);
    }),
  );
  await waitFor(() => site.localRelay.count(isOpen) + site.relay.count(isOpen) === 0, { what: 'all requests to end' });
  layer = cold;
  await expectHealthy();
});

test('a client that leaves is no error in the log', async () => {
  await pushBlob(site.secondaryTarget(name), layer);
  const before = site.log.length;
  await leaveAtGate(site.localRelay, { gate });
  await waitFor(() => site.log.slice(before).some((line) => line['cause'] === 'the client left before its answer'), {
    what: 'a line that says so',
  });
  expect(site.log.slice(before).filter((line) => Number(line['level']) >= 40)).toEqual([]);
});
