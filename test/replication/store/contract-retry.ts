// Trying again because a person says so, or because nothing is known any more.
import { expect, test } from 'vitest';
import { PRIORITY, PUT_OFF_MAX } from '../../../src/replication/row.ts';
import { allOutcomes, claimOne, due, finished, outcomes, rowOf, wish, type CreateStore } from './given.ts';

export function retryContract(create: CreateStore): void {
  test('failed and unsupported rows become due, attempts forgotten, the others stay', async () => {
    const store = await create();
    await finished(store, 'failed', outcomes.failed);
    await finished(store, 'unsupported', outcomes.unsupported);
    const synced = await finished(store, 'synced', outcomes.synced);
    const held = await finished(store, 'held', outcomes.held);
    expect(await store.retry({}, 2_000)).toBe(2);
    expect(await rowOf(store, 'failed')).toMatchObject({ state: 'pending', attempts: 0, generation: 2 });
    expect(await rowOf(store, 'unsupported')).toMatchObject({ state: 'pending', attempts: 0, generation: 2 });
    expect([await rowOf(store, 'synced'), await rowOf(store, 'held')]).toEqual([synced, held]);
    expect((await due(store, 2_000)).sort()).toEqual(['failed', 'unsupported']);
  });

  test('what was marked while the clock was far ahead is tried again, too', async () => {
    const store = await create();
    const ahead = 2_000 + PUT_OFF_MAX + 1;
    await store.mark([wish('v1'), wish('v1', { repository: 'group/other' })], ahead);
    await store.mark([wish('v2')], 2_000 + PUT_OFF_MAX);
    expect(await store.retry({ repository: 'group/other' }, 2_000)).toBe(1);
    expect(await store.retry({}, 2_000)).toBe(1);
    expect(await due(store, 2_000)).toEqual(['v1', 'v1']);
  });

  test('waits and leases from while the clock was far ahead end, others stay', async () => {
    const store = await create();
    const ahead = 2_000 + PUT_OFF_MAX + 1;
    await store.mark([wish('leased')], 100);
    await store.claim('them', 1, 1_000, ahead);
    await store.mark([wish('put off')], ahead);
    await store.mark([wish('soon')], 3_000);
    expect(await store.endLongWaits(2_000)).toBe(2);
    expect((await due(store, 2_000)).sort()).toEqual(['leased', 'put off']);
    expect(await store.endLongWaits(2_000)).toBe(0);
  });

  test('rows in the states asked for are done again', async () => {
    const store = await create();
    await finished(store, 'failed', outcomes.failed);
    await finished(store, 'synced', outcomes.synced, { priority: PRIORITY.onDemand });
    expect(await store.retry({ states: ['synced'] }, 2_000)).toBe(1);
    expect(await rowOf(store, 'synced')).toMatchObject({ priority: PRIORITY.reconcile, markedAt: 2_000 });
    expect(await due(store, 2_000)).toEqual(['synced']);
  });

  test('only the rows that match', async () => {
    const store = await create();
    await finished(store, 'v1', outcomes.failed);
    await store.mark([wish('v1', { repository: 'group/other' })], 100);
    await store.finish('us', await claimOne(store), outcomes.failed, 1_010);
    expect(await store.retry({ repository: 'group/other' }, 2_000)).toBe(1);
    expect(await rowOf(store, 'v1')).toMatchObject({ state: 'failed' });
  });

  test('a row that is worked on is done again afterwards', async () => {
    const store = await create();
    await store.mark([wish('v1')], 100);
    const row = await claimOne(store);
    expect(await store.retry({ states: ['syncing'] }, 1_005)).toBe(1);
    expect(await due(store, 1_006, 'them')).toEqual([]);
    await store.finish('us', row, outcomes.synced, 1_010);
    expect(await due(store, 1_010)).toEqual(['v1']);
  });

  test('however many there are', async () => {
    const store = await create();
    const count = 1_300;
    await store.mark(
      Array.from({ length: count }, (_, index) => wish(`v${index}`)),
      100,
    );
    const rows = await store.claim('us', count, 1_000, 2_000);
    await Promise.all(rows.map((row) => store.finish('us', row, outcomes.failed, 1_010)));
    expect(await store.retry({ limit: 700 }, 2_000)).toBe(700);
    expect(await due(store, 2_000)).toHaveLength(700);
    expect(await store.retry({}, 2_000)).toBe(600);
  });

  test('of another primary every row is pending and unknown', async () => {
    const store = await create();
    await store.setVerified(await finished(store, 'synced', outcomes.synced), 1_500);
    await finished(store, 'failed', outcomes.failed, { eventAt: 90 });
    await finished(store, 'unsupported', outcomes.unsupported);
    expect(await store.markAllUnknown(2_000)).toBe(3);
    for (const reference of ['synced', 'failed', 'unsupported']) {
      const row = await rowOf(store, reference);
      expect(row).toMatchObject({ state: 'pending', generation: 2, attempts: 0, nextAttempt: 2_000, markedAt: 2_000 });
      for (const field of ['primaryDigest', 'localDigest', 'syncedAt', 'verifiedAt', 'lastError'])
        expect(row).not.toHaveProperty(field);
    }
    expect(await rowOf(store, 'failed')).toMatchObject({ eventAt: 90 });
    expect(await due(store, 2_000)).toHaveLength(3);
  });

  test('of another primary no confirmation counts', async () => {
    const store = await create();
    await finished(store, 'v1', outcomes.held);
    await store.confirmRemovals({}, 1_500);
    await store.markAllUnknown(2_000);
    expect(await claimOne(store, { now: 2_000 })).toMatchObject({ isConfirmed: false });
  });

  test.each(allOutcomes)('work for the primary before ends without effect: $kind', async (outcome) => {
    const store = await create();
    await store.mark([wish('v1')], 100);
    const row = await claimOne(store);
    await store.markAllUnknown(1_005);
    const unknown = await rowOf(store, 'v1');
    expect(await store.renew('us', [row.id], 9_000)).toEqual([]);
    await store.finish('us', row, outcome, 1_010);
    expect(await rowOf(store, 'v1')).toEqual(unknown);
  });

  test('of another primary what waited keeps its priority, the rest comes last', async () => {
    const store = await create();
    await finished(store, 'synced', outcomes.synced, { priority: PRIORITY.onDemand });
    await store.mark([wish('waits', { priority: PRIORITY.event })], 1_000);
    await store.markAllUnknown(2_000);
    expect(await due(store, 2_000)).toEqual(['waits', 'synced']);
  });
}
