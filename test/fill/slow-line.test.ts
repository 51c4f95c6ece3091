// A connection that brings next to nothing: it is left alone while nobody waits for its slot, and gives it up else.
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { SourceRates } from '../../src/fill/source.ts';
import { createSlots } from '../../src/lib/slots.ts';
import { blob, digestOf as digestOfBytes, type SmallBlob } from '../support/content.ts';
import { pushBlob } from '../support/push.ts';
import type { RelayMatch } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf, firstByteOf } from './download.ts';
import { createRig, digestOf, startRigSites, type Rig, type RigSites } from './rig.ts';

const KiB = 1024;
const NEVER = 3_600_000;

let sites: RigSites;

beforeAll(async () => {
  sites = await startRigSites();
});
afterEach(() => sites.relay.reset());
afterAll(() => sites.close());

async function pushed(seed: string, size = 300 * KiB): Promise<SmallBlob> {
  const content = blob(size, seed);
  await pushBlob(sites.primaryTarget('slow/app'), content);
  return content;
}

/** Reads all of a blob, as a client does. */
async function pull(rig: Rig, content: SmallBlob): Promise<string> {
  const answer = await rig.filler.open('slow/app', digestOf(content), 'on-demand');
  if (answer.kind !== 'found') return answer.kind;
  const stream = rig.filler.read('slow/app', answer.value);
  await answer.value.release();
  return digestOfBytes(Buffer.from(await text(stream.setEncoding('latin1')), 'latin1'));
}

const rates = (window: number): SourceRates => ({
  least: { bytes: 64 * KiB, window: NEVER },
  shared: { bytes: 64 * KiB, window },
});

test.each([
  ['comes into the spool', {}],
  ['goes past the spool', { spoolMax: 1_000, isStored: () => false }],
])('a slow blob that %s lets another go first, and goes on in the same answer', async (what, more) => {
  const slots = createSlots(1);
  await using rig = await createRig(sites, { ...more, slots, filler: { rates: rates(200) } });
  const [slow, other] = [await pushed(`slow, ${what}`), await pushed(`other, ${what}`)];
  sites.relay.rules.push({ match: bodyOf(slow), bytesPerSecond: 100, times: 1 });
  const slowly = pull(rig, slow);
  await waitFor(() => sites.relay.bodyBytes(bodyOf(slow)) > 0, { what: 'the first bytes' });
  expect(await pull(rig, other)).toBe(other.digest);
  expect(await slowly).toBe(slow.digest);
  const [first, next] = sites.relay.requests.filter(bodyOf(slow));
  expect(first?.state).toBe('cut');
  expect(firstByteOf(next!)).toBeGreaterThan(0);
  expect(rig.count('flight_resumes_total')).toBe(0);
});

test('slow blobs that take all slots and wait for more give way to one that comes, before each other', async () => {
  const slots = createSlots(2);
  await using rig = await createRig(sites, { slots, filler: { rates: rates(200) } });
  const slow = await Promise.all(['one', 'two', 'three'].map((seed) => pushed(`slow ${seed}`)));
  const isSlow: RelayMatch = (request) => slow.some((content) => bodyOf(content)(request));
  const others = await Promise.all(['a', 'b'].map((seed) => pushed(`quick ${seed}`)));
  sites.relay.rules.push({ match: isSlow, bytesPerSecond: 100 });
  const pulls = Promise.allSettled(slow.map((content) => pull(rig, content)));
  // The third has its slot since the first has given way.
  await waitFor(() => sites.relay.count(isSlow) >= 3, { what: 'the third slow blob' });
  for (const content of others) expect(await pull(rig, content)).toBe(content.digest);
  expect(rig.count('flight_resumes_total')).toBe(0);
  await rig.filler.close(0);
  await pulls;
});

test('a slow blob keeps its connection while nobody waits for it', async () => {
  await using rig = await createRig(sites, { slots: createSlots(1), filler: { rates: rates(50) } });
  const slow = await pushed('slow, alone');
  // 15 KiB in a window.
  sites.relay.rules.push({ match: bodyOf(slow), bytesPerSecond: 300 * KiB });
  expect(await pull(rig, slow)).toBe(slow.digest);
  expect(sites.relay.count(bodyOf(slow))).toBe(1);
});

test('a slow one of several connections of a blob gives its slot up, and the others bring its part', async () => {
  const parts = { connections: 2, size: 256 * KiB, above: 512 * KiB };
  await using rig = await createRig(sites, { slots: createSlots(2), filler: { parts, rates: rates(200) } });
  const [large, other] = [await pushed('slow part', 2_048 * KiB), await pushed('behind a slow part')];
  // The second piece is the other connection's.
  const isSecond: RelayMatch = (request) => bodyOf(large)(request) && firstByteOf(request) === parts.size;
  sites.relay.rules.push({ match: isSecond, bytesPerSecond: 100, times: 1 });
  const slowly = pull(rig, large);
  await waitFor(() => sites.relay.bodyBytes(isSecond) > 0, { what: 'the slow piece' });
  expect(await pull(rig, other)).toBe(other.digest);
  expect(await slowly).toBe(large.digest);
});

test('a primary that gives a byte and breaks off, again and again, is given up', async () => {
  await using rig = await createRig(sites, { filler: { patience: 1_000 }, store: { pauses: [0] } });
  const content = await pushed('a byte at a time');
  sites.relay.rules.push({ match: bodyOf(content), cutAfter: 1 });
  expect(await rig.filler.fill('slow/app', digestOf(content), 'background')).toMatchObject({ kind: 'unavailable' });
  const fill = rig.log.find(({ message }) => message === 'blob transfer failed');
  expect(fill?.facts['cause']).toContain('no progress');
});

test('a primary that gives a byte now and then, and never breaks off, is given up', async () => {
  const least = { bytes: 64 * KiB, window: 300 };
  const filler = { patience: 200, rates: { ...rates(NEVER), least } };
  await using rig = await createRig(sites, { filler, store: { pauses: [0] } });
  const content = await pushed('a byte now and then');
  sites.relay.rules.push({ match: bodyOf(content), bytesPerSecond: 50 });
  expect(await rig.filler.fill('slow/app', digestOf(content), 'background')).toMatchObject({ kind: 'unavailable' });
  expect(rig.log.find(({ message }) => message === 'blob transfer failed')?.facts['cause']).toContain('no progress');
});
