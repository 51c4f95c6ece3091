// How claims end.
import { expect, test } from 'vitest';
import type { Outcome } from '../../../src/replication/row-queue.ts';
import { ANY_CHANGE, PRIORITY } from '../../../src/replication/row.ts';
import {
  allOutcomes,
  claimOne,
  digest,
  due,
  finished,
  otherDigest,
  outcomes,
  repository,
  rowOf,
  wish,
  type CreateStore,
} from './given.ts';

export function finishContract(create: CreateStore): void {
  test('synced: both sides are known, errors and attempts are forgotten, the event is caught up with', async () => {
    const store = await create();
    await finished(store, 'v1', outcomes.failed, { eventAt: 90 });
    const again = await claimOne(store, { now: 5_000 });
    await store.finish('us', again, outcomes.synced, 5_010);
    const { lastError: _, eventAt: __, ...rest } = again;
    const known = { state: 'synced', attempts: 0, primaryDigest: digest, localDigest: digest, syncedAt: 5_010 };
    expect(await rowOf(store, 'v1')).toEqual({
      ...rest,
      ...known,
      bytes: 10,
      nextAttempt: expect.any(Number) as number,
    });
  });

  test('bytes add up', async () => {
    const store = await create();
    await finished(store, 'v1', { kind: 'synced', digest, bytes: 10 });
    expect(await finished(store, 'v1', { kind: 'synced', digest: otherDigest, bytes: 2 ** 40 })).toMatchObject({
      bytes: 2 ** 40 + 10,
      localDigest: otherDigest,
    });
  });

  test('failed: an attempt is burned, the reason and the next time are kept, the event waits', async () => {
    const store = await create();
    const row = await finished(store, 'v1', outcomes.failed, { eventAt: 90 });
    const expected = { state: 'failed', attempts: 1, lastError: 'a blob is missing', nextAttempt: 5_000, eventAt: 90 };
    expect(row).toMatchObject(expected);
    const again = await claimOne(store, { now: 5_000 });
    await store.finish('us', again, { ...outcomes.failed, nextAttempt: 9_000 }, 5_010);
    expect(await rowOf(store, 'v1')).toMatchObject({ attempts: 2, nextAttempt: 9_000 });
  });

  test('a time with a fraction does not come early', async () => {
    const store = await create();
    expect(await finished(store, 'v1', { ...outcomes.failed, nextAttempt: 4_999.3 })).toMatchObject({
      nextAttempt: 5_000,
    });
  });

  test.each(['failed', 'unsupported'] as const)('%s: 1,000 characters of the reason are kept', async (kind) => {
    const store = await create();
    const error = 'é'.repeat(2_000);
    const row = await finished(store, 'v1', { kind, error, nextAttempt: 5_000 });
    expect(row.lastError).toBe('é'.repeat(1_000));
  });

  test('unsupported: the reason is kept, no attempt is burned, the event waits', async () => {
    const store = await create();
    const row = await finished(store, 'v1', outcomes.unsupported, { eventAt: 90 });
    expect(row).toMatchObject({ state: 'unsupported', attempts: 0, lastError: 'schema 1', eventAt: 90 });
  });

  test('released: nothing is burned or forgotten', async () => {
    const store = await create();
    const failed = await finished(store, 'v1', outcomes.failed, { eventAt: 90 });
    const again = await claimOne(store, { now: 5_000 });
    await store.finish('us', again, { kind: 'released', nextAttempt: 6_000 }, 5_010);
    expect(await rowOf(store, 'v1')).toEqual({ ...failed, state: 'pending', claim: 2, nextAttempt: 6_000 });
  });

  test.each(allOutcomes)('$kind, of an earlier claim: nothing happens', async (outcome) => {
    const store = await create();
    await store.mark([wish('v1')], 100);
    const earlier = await claimOne(store, { now: 1_000, lease: 100 });
    const current = await claimOne(store, { now: 1_100, lease: 100 });
    await store.finish('us', earlier, outcome, 1_110);
    expect(await rowOf(store, 'v1')).toEqual(current);
    expect(await store.counts(1_110)).toMatchObject({ removalsLastDay: 0 });
  });

  test('gone: so is the row, and its id is never another’s', async () => {
    const store = await create();
    await store.mark([wish('v1')], 100);
    const row = await claimOne(store);
    await store.finish('us', row, outcomes.gone, 1_010);
    expect(await store.find(repository, 'v1')).toBeUndefined();
    await store.mark([wish('v1')], 2_000);
    expect((await rowOf(store, 'v1')).id).not.toBe(row.id);
  });

  test.each(allOutcomes)('$kind, but marked again meanwhile: pending and due', async (outcome) => {
    const store = await create();
    await store.mark([wish('v1', { eventAt: 90 })], 100);
    const row = await claimOne(store);
    await store.mark([wish('v1', { priority: PRIORITY.reconcile })], 1_005);
    await store.finish('us', row, outcome, 1_010);
    expect(await rowOf(store, 'v1')).toMatchObject({ state: 'pending', generation: 2, attempts: 0, eventAt: 90 });
    expect(await due(store, 1_010)).toEqual(['v1']);
  });

  test('synced, but marked again meanwhile: what was done is known', async () => {
    const store = await create();
    await store.mark([wish('v1')], 100);
    const row = await claimOne(store);
    await store.mark([wish('v1')], 1_005);
    await store.finish('us', row, outcomes.synced, 1_010);
    expect(await rowOf(store, 'v1')).toMatchObject({ localDigest: digest, syncedAt: 1_010, bytes: 10 });
  });

  test('gone, but marked again meanwhile: nothing is here, and the removal counts', async () => {
    const store = await create();
    await finished(store, 'v1', outcomes.synced);
    await store.mark([wish('v1')], 2_000);
    const row = await claimOne(store, { now: 2_000 });
    await store.mark([wish('v1')], 2_005);
    await store.finish('us', row, outcomes.gone, 2_010);
    const after = await rowOf(store, 'v1');
    expect(after).not.toHaveProperty('localDigest');
    expect(after).not.toHaveProperty('syncedAt');
    expect(await store.counts(2_010)).toMatchObject({ removalsLastDay: 1 });
  });

  test.each(allOutcomes)('$kind: nothing happens when the lease went to somebody else', async (outcome) => {
    const store = await create();
    await store.mark([wish('v1', { eventAt: 90 })], 100);
    const ours = await claimOne(store, { owner: 'us', now: 1_000, lease: 100 });
    await claimOne(store, { owner: 'them', now: 1_100 });
    const [row, counts] = [await rowOf(store, 'v1'), await store.counts(1_110)];
    await store.finish('us', ours, outcome, 1_110);
    expect(await rowOf(store, 'v1')).toEqual(row);
    expect(await store.counts(1_110)).toEqual(counts);
    expect(await store.renew('them', [ours.id], 2_000)).toEqual([ours.id]);
  });

  test('a lease that ran out still counts while nobody took it', async () => {
    const store = await create();
    await store.mark([wish('v1')], 100);
    const row = await claimOne(store, { now: 1_000, lease: 100 });
    await store.finish('us', row, outcomes.synced, 9_000);
    expect(await rowOf(store, 'v1')).toMatchObject({ state: 'synced' });
  });

  test.each(allOutcomes)('$kind: a claim ends once', async (outcome) => {
    const store = await create();
    await store.mark([wish('v1')], 100);
    const row = await claimOne(store);
    await store.finish('us', row, outcomes.synced, 1_010);
    const synced = await rowOf(store, 'v1');
    await store.finish('us', row, outcome, 1_020);
    expect(await rowOf(store, 'v1')).toEqual(synced);
    expect(await store.counts(1_020)).toMatchObject({ removalsLastDay: 0 });
  });

  test('verified stays while the digest stays', async () => {
    const store = await create();
    await store.setVerified(await finished(store, 'v1', outcomes.synced), 1_500);
    expect(await rowOf(store, 'v1')).toMatchObject({ verifiedAt: 1_500 });
    expect(await finished(store, 'v1', outcomes.synced)).toMatchObject({ verifiedAt: 1_500 });
    const moved = await finished(store, 'v1', { ...outcomes.synced, digest: otherDigest });
    expect(moved).not.toHaveProperty('verifiedAt');
  });

  test('a verification of what is not here any more says nothing', async () => {
    const store = await create();
    const before = await finished(store, 'v1', outcomes.synced);
    const now = await finished(store, 'v1', { ...outcomes.synced, digest: otherDigest });
    await store.setVerified(before, 1_500);
    expect(await rowOf(store, 'v1')).toEqual(now);
  });

  const waiting = { kind: 'waiting', error: 'no child', waitsFor: otherDigest, nextAttempt: 90_000 } as const;

  test('waiting: pending with its reason, due at its time, no attempt burned, and no lag', async () => {
    const store = await create();
    const row = await finished(store, 'v1', waiting, { eventAt: 90 });
    expect(row).toMatchObject({ state: 'pending', attempts: 0, lastError: 'no child', waitsFor: otherDigest });
    expect(await store.counts(2_000)).toMatchObject({ waiting: 1, states: { pending: 1, failed: 0 } });
    expect((await store.counts(2_000)).oldestEventAt).toBeUndefined();
    expect(await due(store, 89_999)).toEqual([]);
    expect(await due(store, 90_000)).toEqual(['v1']);
    expect(await rowOf(store, 'v1')).not.toHaveProperty('waitsFor');
  });

  const wakers: readonly [string, Outcome, string][] = [
    ['it is synced', { kind: 'synced', digest: otherDigest, bytes: 0 }, otherDigest],
    [
      'what points at it is synced',
      { kind: 'synced', digest, bytes: 0, manifests: [digest, otherDigest] },
      otherDigest,
    ],
    ['its tag is synced', { kind: 'synced', digest, bytes: 0 }, 'other'],
    ['its tag is gone', { kind: 'gone', isRemoval: true }, 'other'],
    ['anything is gone', { kind: 'gone', isRemoval: false }, ANY_CHANGE],
  ];

  test.each(wakers)('waiting: due when %s, in that repository only', async (_what, outcome, waitsFor) => {
    const store = await create();
    await finished(store, 'waits', { ...waiting, waitsFor });
    await store.mark([wish('other', { repository: 'group/elsewhere' })], 2_000);
    await store.finish('us', await claimOne(store, { now: 2_000 }), outcome, 2_010);
    expect(await due(store, 2_020)).toEqual([]);
    await store.mark([wish('other')], 3_000);
    await store.finish('us', await claimOne(store, { now: 3_000 }), outcome, 3_010);
    expect(await due(store, 3_010)).toEqual(['waits']);
  });

  test('waiting for a tag: due when it is another manifest than before, not when it is the same', async () => {
    const store = await create();
    await finished(store, 'tag', { kind: 'synced', digest, bytes: 0 });
    await finished(store, 'waits', { ...waiting, waitsFor: 'tag' });
    await finished(store, 'tag', { kind: 'synced', digest, bytes: 0 });
    expect(await due(store, 1_020)).toEqual([]);
    await finished(store, 'tag', { kind: 'synced', digest: otherDigest, bytes: 0 });
    expect(await due(store, 1_020)).toEqual(['waits']);
  });

  test('waiting for any change: due when a tag is another manifest than before, not when it is the same', async () => {
    const store = await create();
    await finished(store, 'tag', { kind: 'synced', digest, bytes: 0 });
    await finished(store, 'waits', { ...waiting, waitsFor: ANY_CHANGE });
    await finished(store, 'tag', { kind: 'synced', digest, bytes: 0 });
    expect(await due(store, 1_020)).toEqual([]);
    await finished(store, 'tag', { kind: 'synced', digest: otherDigest, bytes: 0 });
    expect(await due(store, 1_020)).toEqual(['waits']);
  });

  test('waiting, and marked by an event: due', async () => {
    const store = await create();
    await finished(store, 'v1', waiting);
    await store.mark([wish('v1', { priority: PRIORITY.reconcile })], 2_000);
    expect(await due(store, 2_000)).toEqual([]);
    await store.mark([wish('v1')], 3_000);
    expect(await store.counts(3_000)).toMatchObject({ waiting: 0 });
    expect(await due(store, 3_000)).toEqual(['v1']);
  });

  test('waiting: tried again when a person says so', async () => {
    const store = await create();
    await finished(store, 'v1', waiting);
    expect(await store.retry({ repository }, 2_000)).toBe(1);
    expect(await due(store, 2_000)).toEqual(['v1']);
  });

  test('unsupported: what was refused is known', async () => {
    const store = await create();
    const row = await finished(store, 'v1', { kind: 'unsupported', error: 'its type', digest });
    expect(row).toMatchObject({ state: 'unsupported', primaryDigest: digest });
    expect(row).not.toHaveProperty('localDigest');
  });
}
