// What becomes of each claim, in whatever order the store answers. Leases outlast every test, so that a row which the
// worker has lost track of stays `syncing`.
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { Outcome } from '../../src/replication/row-queue.ts';
import type { Row } from '../../src/replication/row.ts';
import { StoreUnavailable, type RowStore } from '../../src/replication/rows.ts';
import type { Sync } from '../../src/replication/job.ts';
import { waitFor } from '../support/tool.ts';
import { createHold, FOR_EVER, mark, open, repository, start, synced, untilSynced } from './worker-rig.ts';

/** A promise that a test resolves, at its end at the latest. */
function createGate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  onTestFinished(() => resolve());
  return { opened: promise, open: resolve };
}

test('a row that is claimed again before the answer to the end of its work is worked on', () =>
  claimedAgain(async () => undefined));

// In whichever turn of the promises the worker hears of its claim.
test.each([0, 1, 2, 3, 4, 5, 6, 8])('and %d turns after the two were answered together', (turns) =>
  claimedAgain(async (answered) => {
    await answered;
    for (let turn = 0; turn < turns; turn += 1) await undefined;
  }),
);

async function claimedAgain(beforeAnswer: (answered: Promise<void>) => Promise<void>): Promise<void> {
  const rows = await open();
  const hold = createHold();
  const [claims, finishes] = [[] as Row[], [] as Row[]];
  const answered = createGate();
  const late: RowStore = {
    ...rows,
    async claim(...args) {
      const claimed = await rows.claim(...args);
      claims.push(...claimed);
      if (claims.length === 2) await beforeAnswer(answered.opened);
      return claimed;
    },
    // It is on disk, and only its answer is late: as of calls that were committed together.
    async finish(...args) {
      const isWritten = await rows.finish(...args);
      finishes.push(args[1]);
      if (finishes.length === 1) await answered.opened;
      return isWritten;
    },
  };
  await mark(rows, 'v1');
  const worker = start({ rows: late, sync: hold.sync }, { lease: FOR_EVER });
  await waitFor(() => hold.arrived.length > 0, { what: 'the work' });
  await mark(rows, 'v1');
  hold.open();
  await waitFor(() => finishes.length > 0, { what: 'the end of the work to be on disk' });
  worker.nudge();
  await waitFor(() => claims.length === 2, { what: 'the second claim' });
  answered.open();
  await untilSynced(rows, 1);
  expect(hold.arrived).toEqual(['v1', 'v1']);
}

test('the end of work whose lease ran out ends the claim that came after it, and the work is not done again', async () => {
  const rows = await open();
  const claims: Row[] = [];
  const sent = createGate();
  let [finishes, works] = [0, 0];
  const written: boolean[] = [];
  const late: RowStore = {
    ...rows,
    renew: () => Promise.reject(new StoreUnavailable('not now')),
    async claim(...args) {
      const claimed = await rows.claim(...args);
      claims.push(...claimed);
      return claimed;
    },
    async finish(...args) {
      finishes += 1;
      if (finishes === 1) await sent.opened;
      written.push(await rows.finish(...args));
      return written.at(-1)!;
    },
  };
  await mark(rows, 'v1');
  start(
    {
      rows: late,
      async sync() {
        works += 1;
        return synced;
      },
    },
    { lease: 50, nap: 10 },
  );
  await waitFor(() => finishes === 1 && claims.length > 1, { what: 'a claim after the lease' });
  sent.open();
  await untilSynced(rows, 1);
  expect(works).toBe(1);
  expect([written[0], written.at(-1)]).toEqual([false, true]);
});

test('an outcome that the store does not take is a failed attempt', async () => {
  const rows = await open();
  const odd: RowStore = {
    ...rows,
    finish: (owner, row, outcome, now) =>
      outcome.kind === 'synced'
        ? Promise.reject(new TypeError('no such digest'))
        : rows.finish(owner, row, outcome, now),
  };
  await mark(rows, 'v1');
  start({ rows: odd, sync: async () => synced }, { lease: FOR_EVER });
  await waitFor(async () => (await rows.find(repository, 'v1'))?.lastError === 'no such digest', { what: 'a failure' });
});

test('what is claimed again while the worker is closed is given back', async () => {
  const rows = await open();
  const hold = createHold();
  const answered = createGate();
  let claims = 0;
  let isOnDisk = false;
  const late: RowStore = {
    ...rows,
    async claim(...args) {
      const claimed = await rows.claim(...args);
      claims += claimed.length;
      return claimed;
    },
    async finish(...args) {
      const isWritten = await rows.finish(...args);
      if (!isOnDisk) {
        isOnDisk = true;
        await answered.opened;
      }
      return isWritten;
    },
  };
  await mark(rows, 'v1');
  const worker = start({ rows: late, sync: hold.sync }, { lease: FOR_EVER });
  await waitFor(() => hold.arrived.length > 0, { what: 'the work' });
  await mark(rows, 'v1');
  hold.open();
  await waitFor(() => isOnDisk, { what: 'the end of the work to be on disk' });
  worker.nudge();
  await waitFor(() => claims === 2, { what: 'the second claim' });
  await worker.close(0);
  expect(await rows.find(repository, 'v1')).toMatchObject({ state: 'pending' });
});

/** Numbers from 0 up to 1 that are the same for each seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A store that answers late, and now and then refuses what is not the giving back of a row. */
function unsteady(rows: RowStore, random: () => number): RowStore {
  const later = async (): Promise<void> => (random() < 0.5 ? delay(random() * 4) : undefined);
  return {
    ...rows,
    async claim(...args) {
      await later();
      if (random() < 0.1) throw new StoreUnavailable('locked');
      const claimed = await rows.claim(...args);
      await later();
      return claimed;
    },
    async finish(...args) {
      await later();
      if (args[2].kind !== 'released' && random() < 0.02) throw new StoreUnavailable('disk full');
      const isWritten = await rows.finish(...args);
      await later();
      return isWritten;
    },
  };
}

test.each([1, 2, 3])('no claimed row is forgotten, however calls and answers fall together (%d)', async (seed) => {
  const rows = await open();
  const random = randomOf(seed);
  const tags = Array.from({ length: 8 }, (_, nth) => `v${nth}`);
  const seen = new Map<string, number>();
  let overlaps = 0;
  const outcomeOf = (): Outcome => {
    if (random() < 0.7) return synced;
    if (random() < 0.5) return { kind: 'released', nextAttempt: Date.now() };
    return { kind: 'failed', error: 'now and then', nextAttempt: Date.now() + 5 };
  };
  const options = { lease: FOR_EVER, nap: 20 };
  const createSync = (): Sync => {
    const busy = new Set<string>();
    return async ({ reference, generation }) => {
      if (busy.has(reference)) overlaps += 1;
      busy.add(reference);
      await delay(random() * 3);
      busy.delete(reference);
      seen.set(reference, generation);
      return outcomeOf();
    };
  };
  const first = start({ rows: unsteady(rows, random), sync: createSync() }, options);
  for (let nth = 0; nth < 150; nth += 1) {
    await mark(rows, tags[Math.floor(random() * tags.length)]!);
    first.nudge();
    await delay(random() * 4);
  }
  await first.close(random() * 10);
  expect((await rows.counts(Date.now())).states.syncing).toBe(0);
  const second = start({ rows: unsteady(rows, random), sync: createSync() }, options);
  await mark(rows, ...tags);
  second.nudge();
  await untilSynced(rows, tags.length);
  for (const tag of tags) expect(seen.get(tag)).toBe((await rows.find(repository, tag))?.generation);
  expect(overlaps).toBe(0);
});
