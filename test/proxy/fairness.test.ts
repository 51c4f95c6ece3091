// Who asks for very much holds up nobody else, and what it asked for goes when it goes.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { bodyOf } from '../fill/download.ts';
import { blob } from '../support/content.ts';
import { image } from '../support/image.ts';
import { startProxySite, type Answer, type ProxySite } from '../support/proxy.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import { createGate, type Gate } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';
import { calm } from './local-copy.ts';
import { dial } from './wire.ts';

const flooded = 'fair/flooded';
const other = 'fair/other';
const MANY = 40;

let site: ProxySite;

beforeAll(async () => {
  // Two slots for blobs, and few places for everything else. No question ends by taking too long.
  site = await startProxySite({ env: { GEO_FETCH_CONNECTIONS: '8', GEO_PRIMARY_TIMEOUT: '60s' } });
  await pushImage(site.primaryTarget(flooded), 'v1', image('flooded'));
  await pushImage(site.primaryTarget(other), 'v1', image('other'));
});
afterEach(() => calm(site));
afterAll(() => site.close());

const isFlood: RelayMatch = ({ path }) => path.startsWith(`/v2/${flooded}/`);
const isOther: RelayMatch = ({ path }) => path.startsWith(`/v2/${other}/`);
const isOpen: RelayMatch = ({ state }) => state === 'open';

const digest = (): string => `sha256:${randomBytes(32).toString('hex')}`;
let count = 0;

interface Kind {
  readonly what: string;
  readonly method: 'GET' | 'HEAD';
  /** How many of them the primary is asked at once. */
  readonly atOnce: number;
  /** What a flood asks for, each time something else. */
  readonly nonsense: () => string;
  /** What another client asks for; it is at the primary alone. */
  readonly wanted: () => Promise<string>;
}

async function coldBlob(): Promise<string> {
  const content = blob(1_000, `fair ${(count += 1)}`);
  await pushBlob(site.primaryTarget(other), content);
  return `blobs/${content.digest}`;
}

async function coldImage(): Promise<{ tag: string; digest: string }> {
  const tag = `v${(count += 1)}`;
  const pushed = image(`fair ${tag}`);
  await pushImage(site.primaryTarget(other), tag, pushed);
  return { tag, digest: pushed.digest };
}

const kinds: Kind[] = [
  { what: 'blobs', method: 'GET', atOnce: 1, nonsense: () => `blobs/${digest()}`, wanted: coldBlob },
  { what: 'blobs by HEAD', method: 'HEAD', atOnce: 6, nonsense: () => `blobs/${digest()}`, wanted: coldBlob },
  {
    what: 'manifests',
    method: 'GET',
    atOnce: 2,
    nonsense: () => `manifests/${digest()}`,
    wanted: async () => `manifests/${(await coldImage()).digest}`,
  },
  {
    what: 'tags',
    method: 'HEAD',
    atOnce: 6,
    nonsense: () => `manifests/no${(count += 1)}`,
    wanted: async () => `manifests/${(await coldImage()).tag}`,
  },
  {
    what: 'lists',
    method: 'GET',
    atOnce: 2,
    nonsense: () => `tags/list?n=${(count += 1)}`,
    wanted: async () => `tags/list?n=${(count += 1)}`,
  },
];

/** Asks with one token for all, reads no answer, and gives the connections. */
async function flood({ method, nonsense }: Kind): Promise<Socket[]> {
  const token = site.pullToken(flooded);
  const sockets = await Promise.all(Array.from({ length: MANY }, () => dial(site.proxy.url)));
  for (const socket of sockets) {
    socket.on('error', () => undefined);
    socket.write(
      `${method} /v2/${flooded}/${nonsense()} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`,
    );
  }
  onTestFinished(() => leave(sockets));
  return sockets;
}

async function leave(sockets: readonly Socket[]): Promise<void> {
  for (const socket of sockets) socket.destroy();
  await Promise.all(sockets.map((socket) => socket.closed || once(socket, 'close')));
}

/** A gate for each question of the flood that comes to the primary, in the order of their coming. */
function gates({ method, nonsense }: Kind): Gate[] {
  const all = Array.from({ length: MANY }, createGate);
  // What is under way of the flood before, a tag that is asked for by GET after a HEAD say, takes no gate.
  const start = `/v2/${flooded}/${nonsense().split(/\d/)[0]!}`;
  const match: RelayMatch = ({ method: asked, path }) => asked === method && path.startsWith(start);
  onTestFinished(() => all.forEach((gate) => gate.open()));
  site.relay.rules.push(...all.map((gate) => ({ match, times: 1, gate })));
  return all;
}

const arrived = (all: readonly Gate[]): number => all.filter((gate) => gate.arrived > 0).length;

/** Asks the proxy for something that it has: what came before is in its queues by then. */
async function settled(): Promise<void> {
  for (let nth = 0; nth < 3; nth += 1) await fetch(`${site.proxy.url}/healthz`);
}

test.each(kinds)('beside one client’s many $what another’s is asked of the primary next', async (kind) => {
  const path = `${other}/${await kind.wanted()}`;
  const isWanted: RelayMatch = (request) => request.path === `/v2/${path}`;
  const all = gates(kind);
  await flood(kind);
  await waitFor(() => arrived(all) === kind.atOnce, { what: 'the flood at the primary' });
  const answer = site.ask(path, { method: kind.method });
  if (!/tags\/|v\d+$/.test(path)) {
    const isLooked: RelayMatch = (request) => isWanted(request) && request.state === 'complete';
    await waitFor(() => site.localRelay.count(isLooked) > 0, { what: 'the look at the secondary' });
  }
  await settled();
  let ended = 0;
  // One question of the flood ends after the other, until the other client's is asked.
  while (site.relay.count(isWanted) === 0) {
    const before = arrived(all);
    all[ended]!.open();
    ended += 1;
    await waitFor(() => site.relay.count(isWanted) > 0 || arrived(all) > before, { what: 'the next question' });
  }
  // It is the next one, as soon as it has come to the queue at all.
  expect(ended).toBeLessThan(MANY / 4);
  expect((await answer).status).toBe(200);
});

describe('of a client that has left', () => {
  test.each(kinds)('no more $what are asked for, and those under way are given up', async (kind) => {
    const gate = createGate();
    onTestFinished(() => gate.open());
    site.relay.rules.push({ match: isFlood, gate });
    const before = site.log.length;
    const sockets = await flood(kind);
    await waitFor(() => gate.arrived > 0, { what: 'the flood at the primary' });
    await settled();
    await leave(sockets);
    // The proxy has heard of all of them by then: until it has, the next of those who left is asked for.
    await settled();
    await waitFor(() => site.relay.count((request) => isFlood(request) && isOpen(request)) === 0, {
      what: 'the questions to be given up',
    });
    const asked = site.relay.count(isFlood);
    // There is room for all that would still be in a queue.
    gate.open();
    expect((await site.ask(`${other}/${await kind.wanted()}`, { method: kind.method })).status).toBe(200);
    expect(site.relay.count(isFlood)).toBe(asked);
    expect(asked).toBeLessThan(MANY);
    expect(await site.metric('breaker_open')).toBe(0);
    expect(site.log.slice(before).filter(({ msg }) => msg === 'registry is down')).toEqual([]);
  });

  test('nothing is asked whether its repository has a blob that is on its way', async () => {
    const content = blob(50_000, 'fair membership');
    await pushBlob(site.primaryTarget(flooded), content);
    const [body, member] = [createGate(), createGate()];
    onTestFinished(() => [body, member].forEach((gate) => gate.open()));
    site.relay.rules.push({ match: bodyOf(content), holdAfter: 10, holdGate: body });
    const isMember: RelayMatch = ({ method, path }) => method === 'HEAD' && path.endsWith(content.digest);
    site.relay.rules.push({ match: isMember, gate: member });
    const owner = site.ask(`${flooded}/blobs/${content.digest}`);
    await waitFor(() => body.arrived === 1, { what: 'the blob to be on its way' });
    const socket = await dial(site.proxy.url);
    const token = site.pullToken(other);
    socket.write(
      `GET /v2/${other}/blobs/${content.digest} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`,
    );
    await waitFor(() => member.arrived === 1, { what: 'the question for its repository' });
    await leave([socket]);
    await waitFor(() => site.relay.count((request) => isMember(request) && isOpen(request)) === 0, {
      what: 'the question to be given up',
    });
    body.open();
    expect((await owner).body.equals(content.bytes)).toBe(true);
  });
});

describe('what somebody still waits for goes on', () => {
  test.each<[what: string, path: () => Promise<string>]>([
    ['a blob that no manifest names', coldBlob],
    ['a manifest', async () => `manifests/${(await coldImage()).digest}`],
    ['a tag', async () => `manifests/${(await coldImage()).tag}`],
  ])('%s', async (_what, path) => {
    const gate = createGate();
    onTestFinished(() => gate.open());
    site.relay.rules.push({ match: isOther, gate, times: 1 });
    const asked = `${other}/${await path()}`;
    const leaver = await dial(site.proxy.url);
    leaver.on('error', () => undefined);
    const token = site.pullToken(other);
    leaver.write(`GET /v2/${asked} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`);
    await waitFor(() => gate.arrived === 1, { what: 'the question' });
    const stayer: Promise<Answer> = site.ask(asked);
    await settled();
    await leave([leaver]);
    await settled();
    gate.open();
    expect((await stayer).status).toBe(200);
  });
});
