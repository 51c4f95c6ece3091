// Counts.
import { expect, test } from 'vitest';
import { PRIORITY } from '../../../src/replication/row.ts';
import { claimOne, digest, finished, otherDigest, outcomes, repository, wish, type CreateStore } from './given.ts';

const DAY = 24 * 3_600_000;

export function countsContract(create: CreateStore): void {
  test('nothing counts as nothing', async () => {
    const store = await create();
    expect(await store.counts(1_000)).toEqual({
      states: { pending: 0, syncing: 0, synced: 0, failed: 0, unsupported: 0 },
      shownStates: { pending: 0, syncing: 0, synced: 0, recheck: 0, failed: 0, unsupported: 0 },
      held: 0,
      waiting: 0,
      queue: { onDemand: 0, event: 0, reconcile: 0, backfill: 0 },
      bytes: 0,
      verified: 0,
      damagedBlobs: 0,
      malformedEvents: 0,
      removalsLastDay: 0,
    });
  });

  test('rows by state, what waits by priority, bytes and verified', async () => {
    const store = await create();
    await finished(store, 'held', outcomes.held);
    await finished(store, 'failed', outcomes.failed);
    await finished(store, 'unsupported', outcomes.unsupported);
    await finished(store, 'synced-1', outcomes.synced);
    await store.setVerified(await finished(store, 'synced-2', outcomes.synced), 1_500);
    await store.mark([wish('syncing', { priority: PRIORITY.onDemand })], 100);
    await claimOne(store);
    await store.mark([wish('on-demand', { priority: PRIORITY.onDemand })], 2_000);
    await store.mark(
      [wish('b-1', { priority: PRIORITY.backfill }), wish('b-2', { priority: PRIORITY.backfill })],
      2_000,
    );
    expect(await store.counts(2_000)).toMatchObject({
      states: { pending: 4, syncing: 1, synced: 2, failed: 1, unsupported: 1 },
      held: 1,
      queue: { onDemand: 1, event: 1, reconcile: 0, backfill: 2 },
      bytes: 20,
      verified: 1,
    });
  });

  test('what a person confirmed is held no more', async () => {
    const store = await create();
    await finished(store, 'v1', outcomes.held);
    await store.confirmRemovals({}, 1_500);
    expect(await store.counts(2_000)).toMatchObject({ held: 0, states: { pending: 1 } });
  });

  test('the lag is that of the oldest event not caught up with', async () => {
    const store = await create();
    await store.mark([wish('later', { eventAt: 500 })], 9_000);
    await finished(store, 'synced', outcomes.synced, { eventAt: 10 });
    expect(await store.counts(2_000)).toMatchObject({ oldestEventAt: 500 });
    await finished(store, 'failed', outcomes.failed, { eventAt: 300 });
    expect(await store.counts(2_000)).toMatchObject({ oldestEventAt: 300 });
  });

  test('what can never be caught up with is no lag', async () => {
    const store = await create();
    await finished(store, 'unsupported', outcomes.unsupported, { eventAt: 20 });
    expect(await store.counts(2_000)).not.toHaveProperty('oldestEventAt');
  });

  test('removals count for 24 hours, others that are gone do not', async () => {
    const store = await create();
    await finished(store, 'kept', outcomes.synced);
    await store.mark([wish('first')], 100);
    await store.finish('us', await claimOne(store), { kind: 'gone', isRemoval: true }, 1_000);
    await store.mark([wish('never here')], 100);
    await store.finish('us', await claimOne(store), { kind: 'gone', isRemoval: false }, 1_000);
    await store.mark([wish('second')], 100);
    await store.finish('us', await claimOne(store), { kind: 'gone', isRemoval: true }, 5_000);
    const counted = async (now: number): Promise<number> => (await store.counts(now)).removalsLastDay;
    expect([await counted(5_000), await counted(DAY + 999)]).toEqual([2, 2]);
    expect([await counted(DAY + 1_000), await counted(DAY + 4_999)]).toEqual([1, 1]);
    expect(await counted(DAY + 5_000)).toBe(0);
  });

  test('removals of the last day are counted though older ones are forgotten', async () => {
    const store = await create();
    for (const now of [1_000, 2_000, DAY + 1_500]) {
      await store.mark([wish('v1')], 100);
      await store.finish('us', await claimOne(store), outcomes.gone, now);
    }
    expect(await store.counts(DAY + 1_500)).toMatchObject({ removalsLastDay: 2 });
  });

  test('damaged blobs and malformed events', async () => {
    const store = await create();
    await store.putBlob({ repository, digest, verifiedAt: 100, isDamaged: true });
    await store.putBlob({ repository, digest: otherDigest, verifiedAt: 100, isDamaged: false });
    await store.keepMalformed({ at: 100, reason: 'no JSON', body: '{' });
    expect(await store.counts(2_000)).toMatchObject({ damagedBlobs: 1, malformedEvents: 1 });
  });
}
