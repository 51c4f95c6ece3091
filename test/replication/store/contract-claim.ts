// Claims and leases.
import { expect, test } from 'vitest';
import { PRIORITY } from '../../../src/replication/row.ts';
import { claimOne, due, finished, outcomes, rowOf, wish, type CreateStore } from './given.ts';

export function claimContract(create: CreateStore): void {
  test('rows are handed out by priority, then by time', async () => {
    const store = await create();
    await store.mark([wish('backfill', { priority: PRIORITY.backfill })], 100);
    await store.mark([wish('event-2'), wish('event-3')], 300);
    await store.mark([wish('event-1')], 200);
    await store.mark([wish('reconcile', { priority: PRIORITY.reconcile })], 100);
    await store.mark([wish('on-demand', { priority: PRIORITY.onDemand })], 400);
    expect(await due(store, 400)).toEqual(['on-demand', 'event-1', 'event-2', 'event-3', 'reconcile', 'backfill']);
  });

  test('no more rows are handed out than asked for', async () => {
    const store = await create();
    await store.mark([wish('v1'), wish('v2'), wish('v3')], 100);
    expect(await store.claim('us', 2, 100, 200)).toHaveLength(2);
    expect(await store.claim('us', 2, 100, 200)).toHaveLength(1);
    expect(await store.claim('us', 2, 100, 200)).toEqual([]);
  });

  test('a claimed row is syncing', async () => {
    const store = await create();
    await store.mark([wish('v1')], 100);
    const claimed = await claimOne(store);
    expect(claimed).toMatchObject({ reference: 'v1', state: 'syncing', generation: 1, attempts: 0 });
    expect(await rowOf(store, 'v1')).toEqual(claimed);
  });

  test('two owners never get the same row', async () => {
    const store = await create();
    const marks = Array.from({ length: 60 }, (_, index) => wish(`v${index}`));
    await store.mark(marks, 100);
    const owners = Array.from({ length: 10 }, (_, index) => `owner-${index}`);
    const claims = await Promise.all(owners.map((owner) => store.claim(owner, 7, 100, 200)));
    const references = claims.flat().map((row) => row.reference);
    expect(references).toHaveLength(60);
    expect(new Set(references).size).toBe(60);
  });

  test.each([outcomes.failed, outcomes.released])('a row that $kind is due at its time', async (outcome) => {
    const store = await create();
    await finished(store, 'v1', outcome);
    expect(await due(store, 4_999)).toEqual([]);
    expect(await due(store, 5_000)).toEqual(['v1']);
  });

  test.each([outcomes.synced, outcomes.unsupported])('a row that is $kind is not due', async (outcome) => {
    const store = await create();
    await finished(store, 'v1', outcome);
    expect(await due(store, Number.MAX_SAFE_INTEGER)).toEqual([]);
  });

  test('a lease that ran out is claimed again', async () => {
    const store = await create();
    await store.mark([wish('v1')], 100);
    await claimOne(store, { owner: 'us', now: 1_000, lease: 100 });
    expect(await due(store, 1_099, 'them')).toEqual([]);
    expect(await due(store, 1_100, 'them')).toEqual(['v1']);
  });

  test('a renewed lease is not claimed at its first end', async () => {
    const store = await create();
    await store.mark([wish('v1')], 100);
    const { id } = await claimOne(store, { owner: 'us', now: 1_000, lease: 100 });
    expect(await store.renew('us', [id], 1_300)).toEqual([id]);
    expect(await due(store, 1_299, 'them')).toEqual([]);
    expect(await due(store, 1_300, 'them')).toEqual(['v1']);
  });

  test('only the owner’s leases are renewed', async () => {
    const store = await create();
    await store.mark([wish('theirs')], 100);
    const theirs = await claimOne(store, { owner: 'them' });
    await store.mark([wish('ours')], 100);
    const ours = await claimOne(store, { owner: 'us' });
    await store.mark([wish('finished')], 100);
    const done = await claimOne(store, { owner: 'us' });
    await store.finish('us', done, outcomes.synced, 1_010);
    expect(await store.renew('us', [theirs.id, ours.id, done.id, 2 ** 40], 1_500)).toEqual([ours.id]);
    expect(await due(store, 1_100, 'us')).toEqual(['theirs']);
  });

  test('a lease that ran out is renewed unless it was taken', async () => {
    const store = await create();
    await store.mark([wish('v1')], 100);
    const { id } = await claimOne(store, { owner: 'us', now: 1_000, lease: 100 });
    expect(await store.renew('us', [id], 2_100)).toEqual([id]);
    await claimOne(store, { owner: 'them', now: 2_100 });
    expect(await store.renew('us', [id], 3_000)).toEqual([]);
  });

  test('nothing is due where nothing waits', async () => {
    const store = await create();
    await finished(store, 'v1', outcomes.synced);
    expect(await store.nextDue()).toBeUndefined();
  });

  test('the next row that is due, of whatever priority', async () => {
    const store = await create();
    await finished(store, 'failed', { ...outcomes.failed, nextAttempt: 7_000 }, { priority: PRIORITY.onDemand });
    expect(await store.nextDue()).toBe(7_000);
    await finished(store, 'released', outcomes.released, { priority: PRIORITY.backfill });
    expect(await store.nextDue()).toBe(5_000);
    await store.mark([wish('waits')], 300);
    await store.mark([wish('waits, too')], 400);
    expect(await store.nextDue()).toBe(300);
  });

  test('a lease’s end is when its row is due', async () => {
    const store = await create();
    await store.mark([wish('v1')], 100);
    await claimOne(store, { now: 1_000, lease: 250 });
    expect(await store.nextDue()).toBe(1_250);
  });
}
