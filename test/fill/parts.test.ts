// F8: a large blob comes over several connections, each fetching a piece; nobody notices but the clock.
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { BlobFill } from '../../src/fill/blob-fill.ts';
import { visibleEnd } from '../../src/fill/reader.ts';
import { Spool } from '../../src/fill/spool.ts';
import type { SpoolFile } from '../../src/fill/spool-file.ts';
import type { PartsOptions } from '../../src/fill/transfer.ts';
import { noBudget, type Budget } from '../../src/lib/budget.ts';
import { Claim, stayingCaller } from '../../src/lib/claim.ts';
import { createSlots, type Priority, type Ticket } from '../../src/lib/slots.ts';
import { blob, digestOf as digestOfBytes, type SmallBlob } from '../support/content.ts';
import { pushBlob } from '../support/push.ts';
import { createGate, type Gate } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf, firstByteOf } from './download.ts';
import { createRig, digestOf, startRigSites, type Rig, type RigOptions, type RigSites } from './rig.ts';

const MiB = 1024 * 1024;
const SIZE = 8 * MiB;
// Eight pieces of a MiB each, four at a time.
const parts: PartsOptions = { connections: 4, size: MiB, above: 4 * MiB };

let sites: RigSites;

beforeAll(async () => {
  sites = await startRigSites();
});
afterEach(() => {
  sites.relay.reset();
  sites.localRelay.reset();
});
afterAll(() => sites.close());

const rigOf = (options: RigOptions = {}): Promise<Rig> =>
  createRig(sites, { store: { pauses: [0] }, ...options, filler: { parts, ...options.filler } });

async function pushed(seed: string, size = SIZE): Promise<SmallBlob> {
  const content = blob(size, seed);
  await pushBlob(sites.primaryTarget('f8/parts'), content);
  return content;
}

async function opened(rig: Rig, content: SmallBlob, priority: Priority = 'on-demand'): Promise<BlobFill> {
  // Each blob is of a client of its own.
  const answer = await rig.filler.open('f8/parts', digestOf(content), priority, stayingCaller(content.digest));
  if (answer.kind !== 'found') throw new Error(answer.kind);
  return answer.value;
}

async function bytesOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What a client of a blob, or of a part of it, gets. */
async function read(rig: Rig, content: SmallBlob, range?: { start: number; end: number }): Promise<Buffer> {
  const fill = await opened(rig, content);
  const stream = rig.filler.read('f8/parts', fill, range);
  await fill.release();
  return bytesOf(stream);
}

/** The requests for a blob that begin within its piece of this number. */
const piece =
  (content: SmallBlob, nth: number): RelayMatch =>
  (request) =>
    bodyOf(content)(request) && Math.floor(firstByteOf(request) / MiB) === nth;

function gateAt(match: RelayMatch): Gate {
  const gate = createGate();
  onTestFinished(() => gate.open());
  sites.relay.rules.push({ match, gate });
  return gate;
}

const rangesOf = (content: SmallBlob): (string | undefined)[] =>
  sites.relay.requests
    .filter(bodyOf(content))
    .toSorted((a, b) => firstByteOf(a) - firstByteOf(b))
    .map(({ headers }) => headers.range);

const inPieces = Array.from({ length: 8 }, (_, nth) =>
  nth === 7 ? `bytes=${7 * MiB}-` : `bytes=${nth * MiB}-${(nth + 1) * MiB - 1}`,
);

test.each([
  ['is not known', undefined],
  ['is known', SIZE],
])('a large blob whose size %s comes in pieces, no byte of it twice', async (how, size) => {
  await using rig = await rigOf({ sizeOf: () => size });
  const content = await pushed(`in pieces ${how}`);
  expect(digestOfBytes(await read(rig, content))).toBe(content.digest);
  expect(rangesOf(content)).toEqual(inPieces);
  expect(sites.relay.bodyBytes(bodyOf(content))).toBe(SIZE);
  expect(rig.count('primary_body_bytes_total')).toBe(SIZE);
  expect(rig.count('flight_resumes_total')).toBe(0);
});

test('a blob that is known to be small is asked for as a whole', async () => {
  await using rig = await rigOf({ sizeOf: () => 3 * MiB });
  const content = await pushed('known to be small', 3 * MiB);
  expect(digestOfBytes(await read(rig, content))).toBe(content.digest);
  expect(rangesOf(content)).toEqual([undefined]);
});

test('one that turns out to be smaller than what is shared goes on over its one connection', async () => {
  await using rig = await rigOf();
  const content = await pushed('not shared', 3 * MiB);
  expect(digestOfBytes(await read(rig, content))).toBe(content.digest);
  expect(rangesOf(content)).toEqual([`bytes=0-${MiB - 1}`, `bytes=${MiB}-`]);
  expect(sites.relay.bodyBytes(bodyOf(content))).toBe(content.size);
  expect(rig.count('flight_resumes_total')).toBe(0);
});

test('clients have what is before a piece that is late, and parts behind it', async () => {
  await using rig = await rigOf();
  const content = await pushed('late piece');
  const late = gateAt(piece(content, 1));
  const fill = await opened(rig, content);
  const whole = bytesOf(rig.filler.read('f8/parts', fill));
  await waitFor(() => late.arrived === 1 && fill.spooled!.isNear(6 * MiB + 10, 0), {
    what: 'pieces behind the late one',
  });
  const [start, end] = [6 * MiB, 6 * MiB + 9];
  expect(await read(rig, content, { start, end })).toEqual(content.bytes.subarray(start, end + 1));
  expect(await read(rig, content, { start: 0, end: MiB - 1 })).toEqual(content.bytes.subarray(0, MiB));
  expect(fill.spooled!.edge).toBe(MiB);
  expect(fill.state).toBe('flying');
  late.open();
  expect(digestOfBytes(await whole)).toBe(content.digest);
  await fill.release();
  expect(sites.relay.bodyBytes(bodyOf(content))).toBe(SIZE);
});

test('a part that reaches into a piece that is late waits for it, and costs no request', async () => {
  await using rig = await rigOf();
  const content = await pushed('reaches into a late piece');
  const late = gateAt(piece(content, 5));
  const range = { start: 4 * MiB, end: 6 * MiB };
  const reading = read(rig, content, range);
  await waitFor(() => late.arrived === 1, { what: 'the late piece' });
  late.open();
  expect(await reading).toEqual(content.bytes.subarray(range.start, range.end + 1));
  await waitFor(() => rig.count('flights_total', { result: 'whole' }) === 1, { what: 'all of the blob' });
  expect(sites.relay.bodyBytes(bodyOf(content))).toBe(SIZE);
});

test('pieces that come in any order are hashed in theirs', async () => {
  await using rig = await rigOf();
  const content = await pushed('any order');
  // All but the first piece wait, and go on from behind.
  const gates = [1, 2, 3].map((nth) => gateAt(piece(content, nth)));
  const whole = read(rig, content);
  for (const gate of gates.toReversed()) {
    await waitFor(() => gate.arrived === 1, { what: 'the piece' });
    gate.open();
  }
  expect(digestOfBytes(await whole)).toBe(content.digest);
  expect(rig.count('flights_total', { result: 'whole' })).toBe(1);
});

test('a piece that is cut twice is resumed within itself', async () => {
  await using rig = await rigOf();
  const content = await pushed('cut twice');
  sites.relay.rules.push({ match: piece(content, 2), cutAfter: 400_000, times: 2 });
  expect(digestOfBytes(await read(rig, content))).toBe(content.digest);
  const cut = sites.relay.requests.filter(piece(content, 2));
  expect(cut).toHaveLength(3);
  for (const { headers } of cut) expect(headers.range).toMatch(new RegExp(`-${3 * MiB - 1}$`));
  expect(sites.relay.bodyBytes(bodyOf(content))).toBeLessThanOrEqual(1.1 * SIZE);
  expect(rig.count('flight_resumes_total')).toBe(2);
});

test('a server that knows no ranges gives the blob over its one connection', async () => {
  await using rig = await rigOf();
  const content = await pushed('no ranges');
  sites.relay.rules.push({ ignoreRange: true });
  expect(digestOfBytes(await read(rig, content))).toBe(content.digest);
  expect(rangesOf(content)).toEqual([`bytes=0-${MiB - 1}`]);
  expect(sites.relay.bodyBytes(bodyOf(content))).toBe(SIZE);
});

test.each([
  ['without the size', `bytes 0-${MiB - 1}/*`],
  ['from elsewhere', `bytes 100-${MiB + 99}/${SIZE}`],
])('a first piece %s is not taken: the blob is asked for as a whole', async (how, range) => {
  await using rig = await rigOf();
  const content = await pushed(`first piece ${how}`);
  sites.relay.rules.push({ match: piece(content, 0), setHeaders: { 'content-range': range }, times: 1 });
  expect(digestOfBytes(await read(rig, content))).toBe(content.digest);
  expect(sites.relay.requests.filter(bodyOf(content)).map(({ headers }) => headers.range)).toEqual([
    `bytes=0-${MiB - 1}`,
    undefined,
  ]);
});

test('where no first piece of an empty blob is to be had it is asked for as a whole', async () => {
  await using rig = await rigOf();
  const content = await pushed('', 0);
  sites.relay.rules.push({ match: ({ headers }) => headers.range !== undefined, answer: { status: 416 } });
  expect(await rig.filler.fill('f8/parts', digestOf(content), 'on-demand')).toMatchObject({ kind: 'found' });
  expect(rangesOf(content)).toEqual([`bytes=0-${MiB - 1}`, undefined]);
});

test.each([
  ['of another size', { setHeaders: { 'content-range': `bytes ${2 * MiB}-${3 * MiB - 1}/${SIZE - 1}` } }],
  ['from elsewhere', { setHeaders: { 'content-range': `bytes ${2 * MiB + 9}-${3 * MiB + 8}/${SIZE}` } }],
  ['as a whole', { ignoreRange: true }],
  [
    'not at all',
    {
      answer: {
        status: 404,
        headers: { 'content-type': 'application/json' },
        body: '{"errors":[{"code":"BLOB_UNKNOWN"}]}',
      },
    },
  ],
])('a piece that is answered %s is left to the first connection', async (how, rule) => {
  await using rig = await rigOf();
  const content = await pushed(`answered ${how}`);
  sites.relay.rules.push({ match: piece(content, 2), times: 1, ...rule });
  expect(digestOfBytes(await read(rig, content))).toBe(content.digest);
  expect(rig.count('flights_total', { result: 'whole' })).toBe(1);
  expect(sites.relay.count(piece(content, 2))).toBeGreaterThan(1);
});

test('a primary whose pieces are of another blob altogether gives no complete one', async () => {
  await using rig = await rigOf();
  const content = await pushed('another blob');
  const setHeaders = { 'content-range': `bytes ${2 * MiB}-${3 * MiB - 1}/${SIZE - 1}` };
  sites.relay.rules.push({ match: piece(content, 2), setHeaders });
  await expect(read(rig, content)).rejects.toThrow('size changed');
  expect(await rig.store.has('f8/parts', digestOf(content))).toMatchObject({ value: false });
});

test('a wrong byte in one piece resets all clients, and nothing is stored', async () => {
  await using rig = await rigOf();
  const content = await pushed('wrong byte');
  const late = gateAt(piece(content, 1));
  sites.relay.rules.push({ match: piece(content, 5), corruptAt: 77 });
  const all = [read(rig, content), read(rig, content), read(rig, content, { start: 10, end: SIZE - 1 })];
  const ends = Promise.allSettled(all);
  await waitFor(() => late.arrived === 1, { what: 'all but one piece' });
  late.open();
  expect((await ends).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(rig.count('digest_mismatches_total')).toBe(1);
  expect(await rig.store.has('f8/parts', digestOf(content))).toMatchObject({ value: false });
});

test('the last bytes wait for the hash also where they came first', async () => {
  await using rig = await rigOf();
  const content = await pushed('last bytes first');
  const late = gateAt(piece(content, 3));
  const fill = await opened(rig, content);
  await waitFor(() => fill.spooled!.isNear(SIZE - 1, 0), { what: 'the last byte' });
  expect(visibleEnd(fill, 7 * MiB)).toBeLessThan(SIZE);
  late.open();
  await fill.ended;
  expect(visibleEnd(fill, 7 * MiB)).toBe(SIZE);
  await fill.release();
});

const ticketOf = (share: string): Ticket => ({ priority: 'on-demand', claim: Claim.of(stayingCaller(share)) });

/** How many requests for a blob are at the primary now. */
const open = (content: SmallBlob): number =>
  sites.relay.count((request) => bodyOf(content)(request) && request.state === 'open');

test('other fills find slots: more connections take half of them at the most, and those that wait go first', async () => {
  const slots = createSlots(4);
  await using rig = await rigOf({ slots });
  const [large, second, third] = [await pushed('large'), await pushed('second', 1000), await pushed('third', 1000)];
  const gates = [0, 1, 2, 3].map((nth) => gateAt(piece(large, nth)));
  const others = gateAt((request) => bodyOf(second)(request) || bodyOf(third)(request));
  const whole = read(rig, large);
  await waitFor(() => gates[0]!.arrived === 1, { what: 'the first piece' });
  gates[0]!.open();
  await waitFor(() => gates[1]!.arrived + gates[2]!.arrived === 2 && open(large) === 3, { what: 'three at once' });
  const both = [read(rig, second), read(rig, third)];
  await waitFor(() => others.arrived === 1, { what: 'the slot that was left' });
  // The third waits; the next slot that comes free is its own, and no further piece's.
  gates[1]!.open();
  await waitFor(() => others.arrived === 2, { what: 'the other blob' });
  others.open();
  for (const gate of gates) gate.open();
  expect((await Promise.all(both)).map((bytes) => digestOfBytes(bytes))).toEqual([second.digest, third.digest]);
  expect(digestOfBytes(await whole)).toBe(large.digest);
  // All came back.
  await Promise.all(['a', 'b', 'c', 'd'].map((share) => slots.take(ticketOf(share))));
});

test('a background blob’s connections stay within the background’s half', async () => {
  const slots = createSlots(4);
  await using rig = await rigOf({ slots });
  const content = await pushed('background half');
  const gate = gateAt((request) => bodyOf(content)(request) && firstByteOf(request) > 0);
  const filled = rig.filler.fill('f8/parts', digestOf(content), 'background');
  await waitFor(() => gate.arrived === 2, { what: 'two connections' });
  // Two clients find a slot at once.
  const taken = await Promise.all(['a', 'b'].map((share) => slots.take(ticketOf(share))));
  gate.open();
  expect(await filled).toMatchObject({ kind: 'found' });
  expect(sites.relay.bodyBytes(bodyOf(content))).toBe(SIZE);
  for (const giveBack of taken) giveBack();
});

test('where there is no slot for more, one connection asks for more at once', async () => {
  await using rig = await rigOf({ slots: createSlots(1) });
  const content = await pushed('one slot');
  expect(digestOfBytes(await read(rig, content))).toBe(content.digest);
  expect(rangesOf(content)).toEqual([`bytes=0-${MiB - 1}`, `bytes=${MiB}-${5 * MiB - 1}`, `bytes=${5 * MiB}-`]);
});

test('all connections of a background blob draw on one budget', async () => {
  let spent = 0;
  const budget: Budget = {
    ...noBudget,
    spend: async (ticket, bytes) => {
      if (ticket.priority === 'background') spent += bytes;
    },
  };
  await using rig = await rigOf({ budget });
  const content = await pushed('one budget');
  expect(await rig.filler.fill('f8/parts', digestOf(content), 'background')).toMatchObject({ kind: 'found' });
  expect(spent).toBe(SIZE);
});

/** A spool on a disk that takes no byte beyond `room` of each file. */
function fullDisk(room: number): (dir: string, max: number) => Spool {
  return (dir, max) =>
    new (class extends Spool {
      override async create(...args: Parameters<Spool['create']>): Promise<SpoolFile> {
        const file = await super.create(...args);
        const write = file.write.bind(file);
        file.write = async (chunk, position) => {
          if (position + chunk.length > room) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
          await write(chunk, position);
        };
        return file;
      }
    })(dir, max);
}

test('a disk that is full behind a first piece that is late costs no client a byte', async () => {
  await using rig = await rigOf({ spool: fullDisk(6.5 * MiB) });
  const content = await pushed('disk full');
  // The fill's own connection waits, and others come to the end of the disk.
  const holdGate = createGate();
  onTestFinished(() => holdGate.open());
  sites.relay.rules.push({ match: piece(content, 0), holdAfter: 1_000, holdGate, times: 1 });
  const all = [read(rig, content), read(rig, content), read(rig, content, { start: 7 * MiB, end: 7 * MiB + 9 })];
  await waitFor(() => rig.count('flights_total', { result: 'spilled' }) === 1, { what: 'the full disk' });
  const [first, second, part] = await Promise.all(all);
  expect([first!, second!].map((bytes) => digestOfBytes(bytes))).toEqual([content.digest, content.digest]);
  expect(part).toEqual(content.bytes.subarray(7 * MiB, 7 * MiB + 10));
  expect(await rig.filler.fill('f8/parts', digestOf(content), 'background')).toMatchObject({ kind: 'found' });
  expect(rig.count('digest_mismatches_total')).toBe(0);
  await waitFor(() => rig.spool.used === 0, { what: 'the room to be free' });
});

test.each<Priority>(['on-demand', 'background'])(
  'past the spool a blob comes over one connection: %s',
  async (priority) => {
    await using rig = await rigOf({ spoolMax: 1_000, slots: createSlots(1) });
    const content = await pushed(`past the spool ${priority}`);
    if (priority === 'on-demand') expect(digestOfBytes(await read(rig, content))).toBe(content.digest);
    else expect(await rig.filler.fill('f8/parts', digestOf(content), priority)).toMatchObject({ kind: 'found' });
    expect(rangesOf(content)).toEqual([`bytes=0-${MiB - 1}`, `bytes=${MiB}-`]);
    expect(sites.relay.bodyBytes(bodyOf(content))).toBe(SIZE);
    expect(rig.count('flight_resumes_total')).toBe(0);
  },
);

test('a stop in the middle ends all connections', async () => {
  const rig = await rigOf();
  const content = await pushed('stopped');
  const gate = gateAt((request) => bodyOf(content)(request) && firstByteOf(request) > 0);
  const filled = rig.filler.fill('f8/parts', digestOf(content), 'on-demand');
  await waitFor(() => gate.arrived === 4, { what: 'four connections' });
  await rig[Symbol.asyncDispose]();
  expect(await filled).toMatchObject({ kind: 'unavailable' });
  await waitFor(() => open(content) === 0, { what: 'the end of all' });
});

const hasRange: RelayMatch = ({ headers }) => headers.range !== undefined;

test.each([400, 403, 405, 416, 501])(
  'a primary that answers a range with %i gives the blob over one connection',
  async (status) => {
    await using rig = await rigOf();
    const [content, next] = [await pushed(`no ranges: ${status}`), await pushed(`no ranges, next: ${status}`)];
    const match: RelayMatch = (request) => hasRange(request) && [content, next].some((one) => bodyOf(one)(request));
    sites.relay.rules.push({ match, answer: { status } });
    for (const one of [content, next]) expect(digestOfBytes(await read(rig, one))).toBe(one.digest);
    expect(rangesOf(content)).toHaveLength(2);
    expect(rangesOf(next)).toEqual([undefined]);
    expect(rig.count('flight_resumes_total')).toBe(0);
  },
);

test.each([
  ['answered with 400', { answer: { status: 400 } }],
  ['answered with 403', { answer: { status: 403 } }],
  ['answered with 416', { answer: { status: 416 } }],
  ['answered with 501', { answer: { status: 501 } }],
  ['ignored', { ignoreRange: true }],
  ['answered with 206 without its range', { dropHeaders: ['content-range'] }],
])('a range that is taken at first, and %s on the later pieces, costs no pull', async (what, rule) => {
  await using rig = await rigOf();
  const content = await pushed(`later pieces: ${what}`);
  sites.relay.rules.push({ match: (request) => bodyOf(content)(request) && firstByteOf(request) > 0, ...rule });
  expect(digestOfBytes(await read(rig, content))).toBe(content.digest);
  expect(rangesOf(content)[0]).toMatch(/^bytes=0-/);
});
