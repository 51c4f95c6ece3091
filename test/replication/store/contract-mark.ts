// Marks: what they do to a row in each state.
import { expect, test } from 'vitest';
import { PRIORITY, PUT_OFF_MAX } from '../../../src/replication/row.ts';
import { claimOne, due, finished, otherDigest, outcomes, repository, rowOf, wish, type CreateStore } from './given.ts';

const { onDemand, event, reconcile, backfill } = PRIORITY;

export function markContract(create: CreateStore): void {
  test('a mark makes a pending row that is due', async () => {
    const store = await create();
    await store.mark([wish('v1', { priority: event, eventAt: 90 })], 100);
    expect(await rowOf(store, 'v1')).toEqual({
      id: expect.any(Number) as number,
      repository,
      reference: 'v1',
      state: 'pending',
      priority: event,
      generation: 1,
      claim: 0,
      attempts: 0,
      nextAttempt: 100,
      eventAt: 90,
      markedAt: 100,
      bytes: 0,
      isHeld: false,
      isConfirmed: false,
    });
  });

  test('a row is a repository and a reference, of any length that the grammar allows', async () => {
    const store = await create();
    const long = { repository: 'a/'.repeat(127) + 'a', reference: otherDigest };
    await store.mark([wish('v1'), wish('v1', { repository: 'group/other' }), wish('v2'), wish('v1', long)], 100);
    expect(await store.list({})).toHaveLength(4);
    expect(await store.find(long.repository, long.reference)).toMatchObject({ ...long, generation: 1 });
  });

  test('every mark makes the generation grow, also of one call', async () => {
    const store = await create();
    await store.mark([wish('v1'), wish('v1')], 100);
    await store.mark([wish('v1')], 200);
    expect(await rowOf(store, 'v1')).toMatchObject({ generation: 3, markedAt: 200 });
  });

  test('no marks are no work', async () => {
    const store = await create();
    await store.mark([], 100);
    expect(await store.list({})).toEqual([]);
  });

  test.each([
    [backfill, onDemand, onDemand],
    [onDemand, backfill, onDemand],
  ])('while a row waits, the more urgent of the priorities %i and %i counts', async (first, second, expected) => {
    const store = await create();
    await store.mark([wish('v1', { priority: first })], 100);
    await store.mark([wish('v1', { priority: second })], 200);
    expect(await rowOf(store, 'v1')).toMatchObject({ state: 'pending', priority: expected });
  });

  test('a row that waits keeps its place when it is marked again', async () => {
    const store = await create();
    await store.mark([wish('v1')], 100);
    await store.mark([wish('v2')], 200);
    await store.mark([wish('v1')], 300);
    expect(await due(store, 300)).toEqual(['v1', 'v2']);
  });

  test('a synced row becomes pending, with the priority of the mark', async () => {
    const store = await create();
    await finished(store, 'v1', outcomes.synced, { priority: onDemand });
    await store.mark([wish('v1', { priority: backfill })], 2_000);
    expect(await rowOf(store, 'v1')).toMatchObject({ state: 'pending', priority: backfill, nextAttempt: 2_000 });
  });

  test('the oldest event counts', async () => {
    const store = await create();
    await store.mark([wish('v1', { eventAt: 50 }), wish('v1', { eventAt: 40 })], 100);
    await store.mark([wish('v1', { eventAt: 60 })], 200);
    await store.mark([wish('v1', { priority: reconcile })], 300);
    expect(await rowOf(store, 'v1')).toMatchObject({ eventAt: 40 });
  });

  test('an event is noted on a row that had none', async () => {
    const store = await create();
    await store.mark([wish('v1', { priority: backfill })], 100);
    await store.mark([wish('v1', { eventAt: 150 })], 200);
    expect(await rowOf(store, 'v1')).toMatchObject({ eventAt: 150 });
  });

  test.each([onDemand, event])('a mark of priority %i forgets the attempts of a failed row', async (priority) => {
    const store = await create();
    await finished(store, 'v1', outcomes.failed);
    await store.mark([wish('v1', { priority })], 2_000);
    expect(await rowOf(store, 'v1')).toMatchObject({ state: 'pending', attempts: 0, nextAttempt: 2_000 });
    expect(await due(store, 2_000)).toEqual(['v1']);
  });

  test.each([reconcile, backfill])('a mark of priority %i leaves a failed row its back-off', async (priority) => {
    const store = await create();
    const failed = await finished(store, 'v1', outcomes.failed);
    await store.mark([wish('v1', { priority })], 2_000);
    expect(await rowOf(store, 'v1')).toEqual({ ...failed, generation: failed.generation + 1, markedAt: 2_000 });
    expect(await due(store, 4_999)).toEqual([]);
    expect(await due(store, 5_000)).toEqual(['v1']);
  });

  test.each([reconcile, backfill])('a mark of priority %i leaves an unsupported row alone', async (priority) => {
    const store = await create();
    const unsupported = await finished(store, 'v1', outcomes.unsupported);
    await store.mark([wish('v1', { priority })], 2_000);
    expect(await rowOf(store, 'v1')).toEqual(unsupported);
  });

  test.each([onDemand, event])('a mark of priority %i makes an unsupported row pending', async (priority) => {
    const store = await create();
    await finished(store, 'v1', outcomes.unsupported);
    await store.mark([wish('v1', { priority })], 2_000);
    expect(await due(store, 2_000)).toEqual(['v1']);
  });

  test('a row that was put off is due at once after an event, and stays put off under a backfill', async () => {
    const store = await create();
    await finished(store, 'v1', outcomes.released);
    await store.mark([wish('v1', { priority: backfill })], 2_000);
    expect(await due(store, 2_000)).toEqual([]);
    await store.mark([wish('v1', { priority: event })], 2_000);
    expect(await due(store, 2_000)).toEqual(['v1']);
  });

  test.each([
    ['pending', outcomes.released],
    ['failed', outcomes.failed],
  ])('a %s row that was put off while the clock was far ahead is due with the next mark', async (_state, outcome) => {
    const store = await create();
    await finished(store, 'v1', { ...outcome, nextAttempt: 2_000 + PUT_OFF_MAX + 1 });
    await store.mark([wish('v1', { priority: backfill })], 2_000);
    expect(await due(store, 2_000)).toEqual(['v1']);
  });

  test('a row that is put off as long as may be stays so', async () => {
    const store = await create();
    await finished(store, 'v1', { ...outcomes.failed, nextAttempt: 2_000 + PUT_OFF_MAX });
    await store.mark([wish('v1', { priority: backfill })], 2_000);
    expect(await due(store, 2_000)).toEqual([]);
  });

  test('a row that is worked on stays so, and is nobody else’s', async () => {
    const store = await create();
    await store.mark([wish('v1', { priority: backfill })], 100);
    const claimed = await claimOne(store);
    await store.mark([wish('v1', { priority: onDemand, eventAt: 1_005 })], 1_005);
    const marked = { generation: 2, priority: onDemand, eventAt: 1_005, markedAt: 1_005 };
    expect(await rowOf(store, 'v1')).toEqual({ ...claimed, ...marked });
    expect(await due(store, 1_010, 'them')).toEqual([]);
  });

  test('the last event tells whether it was a push; other marks leave that as it is', async () => {
    const store = await create();
    await store.mark([wish('v1', { eventAt: 90, isPush: true })], 100);
    expect(await rowOf(store, 'v1')).toMatchObject({ pushedAt: 90 });
    await store.mark([wish('v1', { priority: reconcile })], 200);
    expect(await rowOf(store, 'v1')).toMatchObject({ pushedAt: 90 });
    await store.mark([wish('v1', { eventAt: 290 })], 300);
    expect(await rowOf(store, 'v1')).not.toHaveProperty('pushedAt');
  });
}
