// What the worker does with rows, whatever the work is.
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { PRIORITY } from '../../src/replication/row.ts';
import { StoreUnavailable, type RowStore } from '../../src/replication/rows.ts';
import { retryAt } from '../../src/replication/retry.ts';
import { waitFor } from '../support/tool.ts';
import { createHold, FOR_EVER, mark, open, repository, start, synced, untilSynced } from './worker-rig.ts';
import { scaled } from '../support/patience.ts';

test('whatever is due is worked on, no more than so many at once', async () => {
  const rows = await open();
  const tags = Array.from({ length: 20 }, (_, nth) => `v${nth}`);
  await mark(rows, ...tags);
  let [now, most] = [0, 0];
  start(
    {
      rows,
      async sync() {
        now += 1;
        most = Math.max(most, now);
        await delay(1);
        now -= 1;
        return synced;
      },
    },
    { concurrency: 3 },
  );
  await untilSynced(rows, 20);
  expect(most).toBe(3);
});

test('a nudge at any moment is heard, also in the middle of a look', async () => {
  const rows = await open();
  const looking = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  let looks = 0;
  const slow: RowStore = {
    ...rows,
    async nextDue() {
      looks += 1;
      const due = await rows.nextDue();
      asked.resolve();
      await looking.promise;
      return due;
    },
  };
  const worker = start({ rows: slow, sync: async () => synced });
  await asked.promise;
  // After it looked for due rows, before it goes to sleep.
  await mark(rows, 'v1');
  worker.nudge();
  looking.resolve();
  await untilSynced(rows, 1);
  expect(looks).toBeGreaterThan(1);
});

test('a row that becomes due while others are worked on is not forgotten', async () => {
  const rows = await open();
  const hold = createHold();
  onTestFinished(() => hold.open());
  await mark(rows, 'long', 'short');
  start({
    rows,
    async sync(row) {
      if (row.reference === 'long') return hold.sync(row);
      return row.attempts > 0 ? synced : { kind: 'failed', error: 'once', nextAttempt: Date.now() + 100 };
    },
  });
  // No nudge and no end of the long one: only its own time wakes it.
  await untilSynced(rows, 1);
  expect(await rows.find(repository, 'short')).toMatchObject({ state: 'synced' });
});

test('what throws is a failed attempt with its reason, and comes back', async () => {
  const rows = await open();
  await mark(rows, 'v1');
  let attempts = 0;
  start({
    rows,
    async sync() {
      attempts += 1;
      if (attempts < 3) throw new Error('no such blob');
      return synced;
    },
  });
  await waitFor(async () => (await rows.find(repository, 'v1'))?.lastError === 'no such blob', { what: 'a failure' });
  await untilSynced(rows, 1);
  expect(attempts).toBe(3);
});

test('while it is paused nothing is claimed, and everything after', async () => {
  const rows = await open();
  let now = 1_000_000;
  const worked: string[] = [];
  const worker = start({
    rows,
    clock: () => now,
    async sync({ reference }) {
      worked.push(reference);
      return synced;
    },
  });
  worker.pause(60_000, 'maintenance');
  await rows.mark([{ repository, reference: 'v1', priority: PRIORITY.event }], now);
  worker.nudge();
  expect([worker.pausedUntil, worker.pausedBecause]).toEqual([1_060_000, 'maintenance']);
  now += 59_999;
  worker.nudge();
  await rows.counts(now);
  expect(worked).toEqual([]);
  now += 1;
  worker.nudge();
  await untilSynced(rows, 1);
  expect(worker.pausedUntil).toBeUndefined();
});

test('a pause does not last longer when the clock is put back', async () => {
  const rows = await open();
  let now = 1_000_000_000;
  const worker = start({ rows, clock: () => now, sync: async () => synced });
  worker.pause(60_000, 'maintenance');
  now -= 86_400_000;
  await rows.mark([{ repository, reference: 'v1', priority: PRIORITY.event }], now);
  expect(worker.pausedUntil).toBe(now + 60_000);
  now += 60_000;
  worker.nudge();
  await untilSynced(rows, 1);
});

test('a shorter pause does not end a longer one', async () => {
  const worker = start({ rows: await open(), clock: () => 1_000, sync: async () => synced });
  worker.pause(60_000, 'read-only');
  worker.pause(1_000, 'down');
  expect([worker.pausedUntil, worker.pausedBecause]).toEqual([61_000, 'read-only']);
});

test('the lease of long work is renewed: nobody else gets the row', async () => {
  const rows = await open();
  const hold = createHold();
  await mark(rows, 'v1');
  start({ rows, sync: hold.sync }, { lease: scaled(300) });
  await waitFor(() => hold.arrived.length > 0, { what: 'the work' });
  const claimed = Date.now();
  await waitFor(() => Date.now() > claimed + scaled(700), { what: 'two leases to pass' });
  expect(await rows.claim('them', 10, Date.now(), Date.now() + 1_000)).toEqual([]);
  hold.open();
  await untilSynced(rows, 1);
});

test('work whose lease ran out meanwhile is not begun a second time', async () => {
  const rows = await open();
  const hold = createHold();
  await mark(rows, 'v1');
  const deaf: RowStore = { ...rows, renew: () => Promise.reject(new StoreUnavailable('not now')) };
  start({ rows: deaf, sync: hold.sync }, { lease: 50, nap: 10 });
  await waitFor(async () => (await rows.nextDue())! > Date.now() - 50 && hold.arrived.length > 0, { what: 'the work' });
  const began = Date.now();
  await waitFor(() => Date.now() > began + 300, { what: 'several leases to pass' });
  hold.open();
  await untilSynced(rows, 1);
  expect(hold.arrived).toEqual(['v1']);
});

test('an outcome that cannot be written is written when it can, and the work is not done again', async () => {
  const rows = await open();
  let [works, refusals] = [0, 0];
  await mark(rows, 'v1');
  const full: RowStore = {
    ...rows,
    finish(...args) {
      refusals += 1;
      return refusals < 3 ? Promise.reject(new StoreUnavailable('disk full')) : rows.finish(...args);
    },
  };
  const finished: string[] = [];
  start({
    rows: full,
    onFinished: ({ reference }) => void finished.push(reference),
    async sync() {
      works += 1;
      return synced;
    },
  });
  await untilSynced(rows, 1);
  await waitFor(() => finished.length > 0, { what: 'the end of the work' });
  expect([works, finished]).toEqual([1, ['v1']]);
});

test('a database that cannot be asked is asked again', async () => {
  const rows = await open();
  let refusals = 0;
  await mark(rows, 'v1');
  const down: RowStore = {
    ...rows,
    claim(...args) {
      refusals += 1;
      return refusals < 2 ? Promise.reject(new StoreUnavailable('locked')) : rows.claim(...args);
    },
  };
  start({ rows: down, sync: async () => synced });
  await untilSynced(rows, 1);
});

test('a row that is marked during its work is worked on again', async () => {
  const rows = await open();
  const hold = createHold();
  await mark(rows, 'v1');
  start({ rows, sync: hold.sync });
  await waitFor(() => hold.arrived.length > 0, { what: 'the work' });
  await mark(rows, 'v1');
  hold.open();
  await untilSynced(rows, 1);
  expect(hold.arrived).toEqual(['v1', 'v1']);
});

test('closing waits for what runs', async () => {
  const rows = await open();
  const hold = createHold();
  await mark(rows, 'v1');
  const worker = start({ rows, sync: hold.sync });
  await waitFor(() => hold.arrived.length > 0, { what: 'the work' });
  const closed = worker.close(60_000);
  hold.open();
  await closed;
  expect(await rows.find(repository, 'v1')).toMatchObject({ state: 'synced' });
});

test('what does not end in time is given back: the next one need not wait for its lease', async () => {
  const rows = await open();
  const hold = createHold();
  await mark(rows, 'v1');
  const worker = start({ rows, sync: hold.sync }, { lease: FOR_EVER });
  await waitFor(() => hold.arrived.length > 0, { what: 'the work' });
  await worker.close(0);
  onTestFinished(() => hold.open());
  expect(await rows.find(repository, 'v1')).toMatchObject({ state: 'pending', attempts: 0 });
  expect(await rows.claim('them', 1, Date.now(), Date.now() + 1_000)).toHaveLength(1);
});

test('what was being claimed when it was closed is given back, not begun', async () => {
  const rows = await open();
  await mark(rows, 'v1');
  const claiming = Promise.withResolvers<void>();
  const claimed = Promise.withResolvers<void>();
  const slow: RowStore = {
    ...rows,
    async claim(...args) {
      const result = await rows.claim(...args);
      claimed.resolve();
      await claiming.promise;
      return result;
    },
  };
  const worked: string[] = [];
  const worker = start({
    rows: slow,
    async sync({ reference }) {
      worked.push(reference);
      return synced;
    },
  });
  await claimed.promise;
  const closed = worker.close(60_000);
  claiming.resolve();
  await closed;
  expect(worked).toEqual([]);
  expect(await rows.find(repository, 'v1')).toMatchObject({ state: 'pending', attempts: 0 });
});

test('retries wait half a second, then twice as long each time, an hour at the most', () => {
  const pauses = Array.from({ length: 20 }, (_, index) => retryAt(index + 1, 0, () => 1));
  expect(pauses.slice(0, 5)).toEqual([500, 1_000, 2_000, 4_000, 8_000]);
  expect(pauses.slice(13)).toEqual(Array.from({ length: 7 }, () => 3_600_000));
  expect(retryAt(1_000_000, 0, () => 1)).toBe(3_600_000);
});

test('the jitter takes up to a quarter off', () => {
  expect(retryAt(2, 10_000, () => 0)).toBe(10_750);
});
