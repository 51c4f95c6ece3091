// F4: how the spool's room is counted, and what happens when the disk says no.
import { readdir } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { BlobFill } from '../../src/fill/blob-fill.ts';
import { Spool } from '../../src/fill/spool.ts';
import type { SpoolFile } from '../../src/fill/spool-file.ts';
import { createSlots } from '../../src/lib/slots.ts';
import { digestOf as digestOfBytes } from '../support/content.ts';
import { blob, type SmallBlob } from '../support/content.ts';
import { pushBlob } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf } from './download.ts';
import { createRig, digestOf, startRigSites, type Rig, type RigOptions, type RigSites } from './rig.ts';
import { scaled } from '../support/patience.ts';

const size = 1_000_000;

let sites: RigSites;

beforeAll(async () => {
  sites = await startRigSites();
});
afterEach(() => {
  sites.relay.reset();
  sites.localRelay.reset();
});
afterAll(() => sites.close());

async function pushed(seed: string): Promise<SmallBlob> {
  const content = blob(size, seed);
  await pushBlob(sites.primaryTarget('room/app'), content);
  return content;
}

async function opened(rig: Rig, content: SmallBlob): Promise<BlobFill> {
  const answer = await rig.filler.open('room/app', digestOf(content), 'on-demand');
  if (answer.kind !== 'found') throw new Error(answer.kind);
  return answer.value;
}

async function digestOfStream(stream: Readable): Promise<string> {
  return digestOfBytes(Buffer.from(await text(stream.setEncoding('latin1')), 'latin1'));
}

/** Reads all of a blob through the filler, as a client does. */
async function readAll(rig: Rig, content: SmallBlob): Promise<string> {
  const fill = await opened(rig, content);
  const stream = rig.filler.read('room/app', fill);
  await fill.release();
  return digestOfStream(stream);
}

/** A spool on a disk that takes `room` bytes of each file and then says `code`. */
function fullDisk(room: number, code: string): (dir: string, max: number) => Spool {
  return (dir, max) =>
    new (class extends Spool {
      override async create(...args: Parameters<Spool['create']>): Promise<SpoolFile> {
        const file = await super.create(...args);
        const write = file.write.bind(file);
        file.write = async (chunk, position) => {
          if (position + chunk.length > room) throw Object.assign(new Error(code), { code });
          await write(chunk, position);
        };
        return file;
      }
    })(dir, max);
}

test('a file that was let go but is still read keeps its room, and is read to its end', async () => {
  await using rig = await createRig(sites, { spoolMax: size, filler: { linger: 0 } });
  const [first, second] = [await pushed('still read'), await pushed('comes next')];
  const fill = await opened(rig, first);
  const reader = rig.filler.read('room/app', fill);
  await fill.release();
  await rig.filler.fill('room/app', digestOf(first), 'background');
  await waitFor(() => rig.count('stores_total', { result: 'stored' }) === 1, { what: 'the blob to be stored' });
  await waitFor(async () => (await rig.store.has('room/app', digestOf(first))).kind === 'found', {
    what: 'it to be there',
  });
  expect(rig.spool.used).toBe(size);

  expect(await readAll(rig, second)).toBe(second.digest);
  expect(rig.count('passed_through_total')).toBe(1);
  expect(rig.spool.used).toBe(size);

  expect(await digestOfStream(reader)).toBe(first.digest);
  await waitFor(() => rig.spool.used === 0, { what: 'the room to be free' });
  expect(await readdir(rig.dir)).toEqual([]);
});

test('room is taken from a stored blob before one that could not be stored', async () => {
  await using rig = await createRig(sites, { spoolMax: 2 * size, store: { pauses: [0] } });
  const [unstored, stored, next] = [await pushed('unstored'), await pushed('stored'), await pushed('next')];
  sites.localRelay.rules.push({ match: ({ method }) => method === 'POST', answer: { status: 500 }, times: 1 });
  expect(await rig.filler.fill('room/app', digestOf(unstored), 'background')).toMatchObject({ kind: 'unavailable' });
  expect(await rig.filler.fill('room/app', digestOf(stored), 'background')).toMatchObject({ kind: 'found' });
  expect(await rig.filler.fill('room/app', digestOf(next), 'background')).toMatchObject({ kind: 'found' });
  expect(rig.spool.used).toBe(2 * size);
  // The one that could not be stored is still there: it is stored now without a second transfer.
  expect(await rig.filler.fill('room/app', digestOf(unstored), 'background')).toMatchObject({ kind: 'found' });
  expect(sites.relay.count(bodyOf(unstored))).toBe(1);
});

test('a disk that is full in the middle costs no client a byte', async () => {
  await using rig = await createRig(sites, { spool: fullDisk(size / 2, 'ENOSPC') });
  const content = await pushed('disk full');
  const fills = await Promise.all([opened(rig, content), opened(rig, content)]);
  const readers = fills.map((fill) => rig.filler.read('room/app', fill));
  const parts = fills.map((fill) => rig.filler.read('room/app', fill, { start: 700_000, end: 700_009 }));
  await Promise.all(fills.map((fill) => fill.release()));
  expect(await Promise.all(readers.map(digestOfStream))).toEqual([content.digest, content.digest]);
  const part = digestOfBytes(content.bytes.subarray(700_000, 700_010));
  expect(await Promise.all(parts.map(digestOfStream))).toEqual([part, part]);
  expect(rig.log.find(({ message }) => message.startsWith('no room in the spool'))?.facts['cause']).toContain('ENOSPC');
  expect(await rig.filler.fill('room/app', digestOf(content), 'background')).toMatchObject({ kind: 'found' });
  await waitFor(() => rig.spool.used === 0, { what: 'the room to be free' });
});

test('a blob that the disk took in part is stored past it when its first upload fails', async () => {
  await using rig = await createRig(sites, { spool: fullDisk(size / 2, 'ENOSPC'), store: { pauses: [0] } });
  const content = await pushed('disk full, first upload fails');
  const gate = createGate();
  sites.localRelay.rules.push({ match: ({ method }) => method === 'POST', gate, answer: { status: 500 }, times: 1 });
  const filling = rig.filler.fill('room/app', digestOf(content), 'background');
  await waitFor(() => gate.arrived === 1 && rig.count('flights_total', { result: 'spilled' }) === 1, { what: 'both' });
  gate.open();
  expect(await filling).toMatchObject({ kind: 'found' });
  expect(rig.count('digest_mismatches_total')).toBe(0);
});

test('wrong bytes behind a disk that is full in the middle are found all the same', async () => {
  await using rig = await createRig(sites, { spool: fullDisk(size / 2, 'ENOSPC') });
  const content = await pushed('disk full, wrong');
  sites.relay.rules.push({ match: bodyOf(content), corruptAt: 10 });
  await expect(readAll(rig, content)).rejects.toThrow('the primary');
  expect(rig.count('digest_mismatches_total')).toBeGreaterThan(0);
  expect(await rig.store.has('room/app', digestOf(content))).toEqual({ kind: 'found', value: false });
});

test('a disk that takes nothing at all is as one without room', async () => {
  await using rig = await createRig(sites, { spool: fullDisk(0, 'EROFS') });
  const content = await pushed('takes nothing');
  expect(await readAll(rig, content)).toBe(content.digest);
  expect(await rig.filler.fill('room/app', digestOf(content), 'background')).toMatchObject({ kind: 'found' });
});

test('where no file can be made blobs go past the spool, and no room is lost', async () => {
  await using rig = await createRig(sites, { dir: '/dev/null/spool' });
  const content = await pushed('no file');
  expect(await readAll(rig, content)).toBe(content.digest);
  expect(rig.count('passed_through_total')).toBe(1);
  expect(rig.spool.used).toBe(0);
});

/** Reads so many bytes of a stream, then next to nothing, until it is destroyed; resolves with why. */
async function readSlowly(stream: Readable, fast: number): Promise<string | undefined> {
  let taken = 0;
  stream.on('error', () => undefined);
  await waitFor(
    () => {
      const chunk = (taken < fast ? stream.read() : stream.read(10)) as Buffer | null;
      taken += chunk?.length ?? 0;
      return stream.destroyed;
    },
    { what: 'the reader to be dropped' },
  );
  return stream.errored?.message;
}

test.each<[string, number, RigOptions]>([
  ['goes past the spool', 0, { spoolMax: 1_000, isStored: () => false }],
  ['goes past the spool and into the store', 0, { spoolMax: 1_000 }],
  ['goes on past the spool', 600_000, { spool: fullDisk(size / 2, 'ENOSPC'), isStored: () => false }],
])(
  'a client that takes next to nothing of a blob that %s is dropped, and its slot is free',
  async (how, fast, more) => {
    const slots = createSlots(1);
    await using rig = await createRig(sites, {
      ...more,
      slots,
      filler: { leastRate: { bytes: 65_536, window: scaled(100) } },
    });
    const content = await pushed(`slow, ${how}`);
    const fill = await opened(rig, content);
    const stream = rig.filler.read('room/app', fill);
    await fill.release();
    expect(await readSlowly(stream, fast)).toBe('the reader took too little');
    expect(rig.count('readers_dropped_total')).toBe(1);
    (await slots.take({ priority: 'on-demand' }))();
  },
);

test('a client that waits for the primary is not dropped', async () => {
  const leastRate = { bytes: 65_536, window: scaled(300) };
  await using rig = await createRig(sites, { spoolMax: 1_000, filler: { leastRate } });
  const content = await pushed('waits for the primary');
  const holdGate = createGate();
  sites.relay.rules.push({ match: bodyOf(content), holdAfter: size / 2, holdGate, times: 1 });
  const fill = await opened(rig, content);
  const reading = digestOfStream(rig.filler.read('room/app', fill));
  await waitFor(() => holdGate.arrived === 1, { what: 'half of the blob' });
  // Whoever begins to stand still after it, and is dropped, shows that its time was up, too.
  const other = rig.filler.read('room/app', fill);
  await fill.release();
  expect(await readSlowly(other, 0)).toBe('the reader took too little');
  holdGate.open();
  expect(await reading).toBe(content.digest);
  expect(rig.count('readers_dropped_total')).toBe(1);
});
