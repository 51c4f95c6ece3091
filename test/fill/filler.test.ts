// The filler by itself: who goes first, and what becomes of those who wait.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Filler } from '../../src/fill/filler.ts';
import { Spool } from '../../src/fill/spool.ts';
import { stayingCaller } from '../../src/lib/claim.ts';
import { createSlots } from '../../src/lib/slots.ts';
import { BUSY_HERE } from '../../src/registry/answer.ts';
import { blob, type Blob } from '../support/content.ts';
import { pushBlob } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { scaled } from '../support/patience.ts';
import { waitFor } from '../support/tool.ts';
import { answering } from '../proxy/trouble.ts';
import { bodyOf } from './download.ts';
import { createRig, digestOf, startRigSites, type RigSites } from './rig.ts';

let sites: RigSites;

beforeAll(async () => {
  sites = await startRigSites();
});
afterEach(async () => {
  await Promise.all([sites.relay.up(), sites.localRelay.up()]);
  sites.relay.reset();
  sites.localRelay.reset();
});
afterAll(() => sites.close());

async function pushed(seed: string, ...repositories: string[]): Promise<Blob> {
  const content = blob(100_000, seed);
  for (const repository of repositories) await pushBlob(sites.primaryTarget(repository), content);
  return content;
}

async function release(opened: ReturnType<Filler['open']>): Promise<void> {
  const answer = await opened;
  if (answer.kind !== 'found') throw new Error(answer.kind);
  await answer.value.release();
}

const isLook: RelayMatch = ({ method, path }) => method === 'HEAD' && path.startsWith('/v2/p/linked/');

const asked = (): string[] => sites.relay.requests.map(({ path }) => path.slice(path.lastIndexOf('/') + 1));

test('a client that joins a background fill that waits for a slot moves it ahead of the others', async () => {
  // One slot in all: a background fill has it, two more wait.
  await using rig = await createRig(sites, { slots: createSlots(1) });
  const [running, second, wanted] = await Promise.all(
    ['running', 'second', 'wanted'].map((seed) => pushed(seed, 'p/a')),
  );
  const gate = createGate();
  sites.relay.rules.push({ match: bodyOf(running!), gate });
  const fills = [running!, second!, wanted!].map((content) => rig.filler.fill('p/a', digestOf(content), 'background'));
  await waitFor(() => gate.arrived === 1, { what: 'the first transfer' });
  const opened = rig.filler.open('p/a', digestOf(wanted!), 'on-demand');
  gate.open();
  await release(opened);
  expect(await Promise.all(fills)).toEqual(fills.map(() => ({ kind: 'found', value: undefined })));
  expect(asked()).toEqual([running!.digest, wanted!.digest, second!.digest]);
});

test('what clients ask for goes before what is only started ahead of them, and that before the background', async () => {
  await using rig = await createRig(sites, { slots: createSlots(1) });
  const seeds = ['runs', 'replicated', 'ahead', 'ahead and asked for', 'asked for'];
  const all = await Promise.all(seeds.map((seed) => pushed(seed, 'p/ahead')));
  const [runs, replicated, ahead, wanted, alone] = all;
  const gate = createGate();
  sites.relay.rules.push({ match: bodyOf(runs!), gate });
  const fills = [rig.filler.fill('p/ahead', digestOf(runs!), 'ahead')];
  await waitFor(() => gate.arrived === 1, { what: 'the first transfer' });
  fills.push(rig.filler.fill('p/ahead', digestOf(replicated!), 'background'));
  for (const content of [ahead!, wanted!]) fills.push(rig.filler.fill('p/ahead', digestOf(content), 'ahead'));
  const opened = [wanted!, alone!].map((content) => rig.filler.open('p/ahead', digestOf(content), 'on-demand'));
  gate.open();
  await Promise.all(opened.map(release));
  await Promise.all(fills);
  expect(asked()).toEqual([runs, wanted, alone, ahead, replicated].map((content) => content!.digest));
});

test('background fills leave half of the slots to clients', async () => {
  await using rig = await createRig(sites, { slots: createSlots(4) });
  const contents = await Promise.all(['b1', 'b2', 'b3', 'client'].map((seed) => pushed(seed, 'p/b')));
  const gate = createGate();
  sites.relay.rules.push({ gate });
  const fills = contents.slice(0, 3).map((content) => rig.filler.fill('p/b', digestOf(content), 'background'));
  await waitFor(() => gate.arrived === 2, { what: 'two background transfers' });
  const opened = rig.filler.open('p/b', digestOf(contents[3]!), 'on-demand');
  await waitFor(() => gate.arrived === 3, { what: 'the client’s transfer beside them' });
  expect(asked()).toEqual([0, 1, 3].map((nth) => contents[nth]!.digest));
  gate.open();
  await Promise.all([release(opened), ...fills]);
});

test('that the primary cannot be asked is one answer for all repositories that wait for it', async () => {
  await using rig = await createRig(sites);
  const content = await pushed('unreachable', 'p/one');
  const gate = createGate();
  sites.relay.rules.push({ gate, answer: { status: 503 } });
  const open = (name: string): unknown => rig.filler.open(name, digestOf(content), 'on-demand');
  const all = ['p/one', 'p/two', 'p/three'].map(open);
  await waitFor(() => gate.arrived === 1, { what: 'the one request' });
  gate.open();
  for (const one of await Promise.all(all)) expect(one).toMatchObject({ kind: 'unavailable' });
  expect(sites.relay.count()).toBe(1);
});

test('a client that joins a question from before a push asks by itself, once', async () => {
  await using rig = await createRig(sites);
  const content = await pushed('just pushed', 'p/pushed');
  const gate = createGate();
  sites.relay.rules.push({ ...answering(404, 'BLOB_UNKNOWN', { match: bodyOf(content) }), gate, times: 1 });
  const before = rig.filler.fill('p/pushed', digestOf(content), 'background');
  await waitFor(() => gate.arrived === 1, { what: 'the question from before' });
  const opened = rig.filler.open('p/pushed', digestOf(content), 'on-demand');
  await rig.primary.ping();
  gate.open();
  expect(await before).toMatchObject({ kind: 'missing' });
  await release(opened);
  expect(sites.relay.count(bodyOf(content))).toBe(2);
});

test('a client of a repository that joins a fill asks again where it shared a question from before a push', async () => {
  await using rig = await createRig(sites);
  const content = await pushed('just linked', 'p/first', 'p/linked');
  await rig.filler.fill('p/first', digestOf(content), 'background');
  const gate = createGate();
  sites.relay.rules.push({ ...answering(404, 'BLOB_UNKNOWN', { match: isLook }), gate, times: 1 });
  const before = rig.filler.open('p/linked', digestOf(content), 'on-demand');
  await waitFor(() => gate.arrived === 1, { what: 'the question from before' });
  const opened = rig.filler.open('p/linked', digestOf(content), 'on-demand');
  await rig.primary.ping();
  gate.open();
  expect(await before).toMatchObject({ kind: 'missing' });
  await release(opened);
  expect(sites.relay.count(isLook)).toBe(2);
});

test('that a blob is wrong at the primary is told to those only whose repository has it', async () => {
  await using rig = await createRig(sites);
  const content = await pushed('wrong', 'p/wrong');
  sites.relay.rules.push({ match: bodyOf(content), corruptAt: 10 });
  for (let nth = 0; nth < 2; nth += 1) await rig.filler.fill('p/wrong', digestOf(content), 'background');
  const open = (name: string): unknown => rig.filler.open(name, digestOf(content), 'on-demand');
  expect(await open('p/wrong')).toEqual({ kind: 'corrupt' });
  expect(await open('p/elsewhere')).toEqual({ kind: 'missing', code: 'BLOB_UNKNOWN' });
  expect(sites.relay.count(bodyOf(content))).toBe(2);
});

test('a client does not wait for a background fill that gets no answer for longer than for its own', async () => {
  await using rig = await createRig(sites, { filler: { timeout: 200 } });
  const content = await pushed('hangs', 'p/hangs');
  sites.relay.rules.push({ hang: true });
  void rig.filler.fill('p/hangs', digestOf(content), 'background');
  await waitFor(() => sites.relay.count() === 1, { what: 'the background request' });
  expect(await rig.filler.open('p/hangs', digestOf(content), 'on-demand')).toMatchObject({ kind: 'unavailable' });
});

test('clients that find all slots taken are told so in time, and what a manifest names stays in the queue', async () => {
  const slots = createSlots(1);
  await using rig = await createRig(sites, { slots, filler: { slotPatience: 50 }, sizeOf: () => 100_000 });
  const content = await pushed('queued', 'p/queued');
  const giveBack = await slots.take({ priority: 'background' });
  const open = (): ReturnType<Filler['open']> => rig.filler.open('p/queued', digestOf(content), 'on-demand');
  const part = rig.filler.beside('p/queued', digestOf(content)).open(10, 20);
  const busy = { kind: 'unavailable', reason: 'no free slot in 50 ms' };
  expect(await Promise.all([open(), open(), part])).toEqual([busy, busy, busy]);
  expect(sites.relay.count(bodyOf(content))).toBe(0);
  giveBack();
  await waitFor(() => rig.count('stores_total', { result: 'stored' }) === 1, { what: 'what was queued' });
  await release(open());
  expect(sites.relay.count(bodyOf(content))).toBe(1);
});

test('what no manifest names leaves the queue with the last who waits for it', async () => {
  const slots = createSlots(1);
  await using rig = await createRig(sites, { slots, filler: { slotPatience: scaled(500) } });
  const [unnamed, after] = [await pushed('unnamed', 'p/unnamed'), await pushed('after', 'p/unnamed')];
  const giveBack = await slots.take({ priority: 'background' });
  const open = (): ReturnType<Filler['open']> => rig.filler.open('p/unnamed', digestOf(unnamed), 'on-demand');
  const both = await Promise.all([open(), open()]);
  expect(both.map(({ kind }) => kind)).toEqual(['unavailable', 'unavailable']);
  giveBack();
  await release(rig.filler.open('p/unnamed', digestOf(after), 'on-demand'));
  expect(sites.relay.count(bodyOf(unnamed))).toBe(0);
  // It is asked for anew by who comes again.
  await release(open());
});

test('a share that has very many waiting is told at once that it is too busy', async () => {
  const slots = createSlots(1, { waitingMax: 1 });
  await using rig = await createRig(sites, { slots });
  const contents = await Promise.all(['one', 'two', 'other'].map((seed) => pushed(seed, 'p/crowd')));
  const giveBack = await slots.take({ priority: 'background' });
  const open = (content: Blob, share: string): ReturnType<Filler['open']> =>
    rig.filler.open('p/crowd', digestOf(content), 'on-demand', stayingCaller(share));
  const waiting = [open(contents[0]!, 'much')];
  expect(await open(contents[1]!, 'much')).toEqual(BUSY_HERE);
  waiting.push(open(contents[2]!, 'little'));
  giveBack();
  await Promise.all(waiting.map(release));
  expect(rig.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('nothing is asked of the primary before the files of an earlier run are known', async () => {
  const known = Promise.withResolvers<void>();
  class SlowSpool extends Spool {
    override async recover(): ReturnType<Spool['recover']> {
      await known.promise;
      return super.recover();
    }
  }
  await using rig = await createRig(sites, { spool: (dir, max) => new SlowSpool(dir, max), recover: false });
  const content = await pushed('before the look', 'p/look');
  const recovering = rig.filler.recover();
  const opened = rig.filler.open('p/look', digestOf(content), 'on-demand');
  await rig.primary.ping();
  expect(sites.relay.count(bodyOf(content))).toBe(0);
  known.resolve();
  await Promise.all([release(opened), recovering]);
  expect(sites.relay.count(bodyOf(content))).toBe(1);
});

test('a part beside fills waits for a slot as a client’s, is counted, and gives the slot back with its body', async () => {
  const slots = createSlots(1);
  await using rig = await createRig(sites, { slots });
  const content = await pushed('beside', 'p/beside');
  const giveBack = await slots.take({ priority: 'background' });
  const { open, how } = rig.filler.beside('p/beside', digestOf(content));
  const opening = open(10, 20);
  const order: string[] = [];
  const replicated = slots.take({ priority: 'background' }).then((free) => {
    order.push('background');
    free();
  });
  await rig.primary.ping();
  expect(sites.relay.count(bodyOf(content))).toBe(0);
  giveBack();
  const answer = await opening;
  if (answer.kind !== 'found') throw new Error(answer.kind);
  expect(order).toEqual([]);
  for await (const chunk of answer.value.body as AsyncIterable<Buffer>) how.onBytes?.(chunk.length);
  await replicated;
  expect(rig.count('primary_body_bytes_total')).toBe(10);
});

test('a slot comes back from a fill that was refused, that failed, and that went past the spool', async () => {
  await using rig = await createRig(sites, { slots: createSlots(1), spoolMax: 1_000, filler: { patience: 0 } });
  const [missing, cut, large, after] = [
    blob(10, 'missing'),
    ...(await Promise.all(['c', 'l', 'a'].map((s) => pushed(s, 'p/s')))),
  ];
  sites.relay.rules.push({ match: bodyOf(cut!), cutAfter: 0 });
  expect(await rig.filler.fill('p/s', digestOf(missing!), 'background')).toMatchObject({ kind: 'missing' });
  expect(await rig.filler.fill('p/s', digestOf(cut!), 'background')).toMatchObject({ kind: 'unavailable' });
  expect(await rig.filler.fill('p/s', digestOf(large!), 'background')).toMatchObject({ kind: 'found' });
  expect(await rig.filler.fill('p/s', digestOf(after!), 'background')).toMatchObject({ kind: 'found' });
});
