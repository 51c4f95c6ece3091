// Removals that wait for a person.
import { expect, test } from 'vitest';
import { PRIORITY } from '../../../src/replication/row.ts';
import type { RowStore } from '../../../src/replication/rows.ts';
import { claimOne, due, finished, outcomes, rowOf, wish, type CreateStore } from './given.ts';

async function holdMany(store: RowStore, count: number): Promise<void> {
  await store.mark(
    Array.from({ length: count }, (_, index) => wish(`v${index}`)),
    100,
  );
  const rows = await store.claim('us', count, 1_000, 2_000);
  await Promise.all(rows.map((row) => store.finish('us', row, outcomes.held, 1_010)));
}

export function heldContract(create: CreateStore): void {
  test('a held row is pending and not due', async () => {
    const store = await create();
    const held = await finished(store, 'v1', outcomes.held);
    expect(held).toMatchObject({ state: 'pending', isHeld: true, isConfirmed: false });
    expect(await due(store, Number.MAX_SAFE_INTEGER)).toEqual([]);
    expect(await store.nextDue()).toBeUndefined();
  });

  test('a confirmed row is due, and says that it is confirmed', async () => {
    const store = await create();
    await finished(store, 'v1', outcomes.held);
    expect(await store.confirmRemovals({}, 2_000)).toBe(1);
    expect(await claimOne(store, { now: 2_000 })).toMatchObject({ isHeld: true, isConfirmed: true });
  });

  test.each(Object.values(PRIORITY))(
    'after a mark of priority %i it is claimed again, still held',
    async (priority) => {
      const store = await create();
      await finished(store, 'v1', outcomes.held);
      await store.mark([wish('v1', { priority })], 2_000);
      expect(await claimOne(store, { now: 2_000 })).toMatchObject({ isHeld: true, isConfirmed: false });
    },
  );

  test('a held row that turns out to be at the primary is held no more', async () => {
    const store = await create();
    await finished(store, 'v1', outcomes.held);
    await store.confirmRemovals({}, 1_500);
    const synced = await finished(store, 'v1', outcomes.synced);
    expect(synced).toMatchObject({ state: 'synced', isHeld: false, isConfirmed: false });
  });

  test('a confirmation outlives a failed attempt', async () => {
    const store = await create();
    await finished(store, 'v1', outcomes.held);
    await store.confirmRemovals({}, 900);
    const row = await claimOne(store);
    await store.finish('us', row, outcomes.failed, 1_010);
    expect(await rowOf(store, 'v1')).toMatchObject({ state: 'failed', isHeld: true, isConfirmed: true });
  });

  test('being held once more uses the confirmation up', async () => {
    const store = await create();
    await finished(store, 'v1', outcomes.held);
    await store.confirmRemovals({}, 900);
    const row = await claimOne(store);
    await store.finish('us', row, outcomes.held, 1_010);
    expect(await rowOf(store, 'v1')).toMatchObject({ isHeld: true, isConfirmed: false });
    expect(await due(store, 9_000)).toEqual([]);
  });

  test('a confirmation that comes while the row is worked on counts', async () => {
    const store = await create();
    await finished(store, 'v1', outcomes.held);
    await store.mark([wish('v1')], 900);
    const row = await claimOne(store);
    expect(await store.confirmRemovals({}, 1_005)).toBe(1);
    await store.finish('us', row, outcomes.held, 1_010);
    expect(await claimOne(store, { now: 1_010 })).toMatchObject({ isHeld: true, isConfirmed: true });
  });

  test('a held row that was removed, and marked meanwhile, is held no more', async () => {
    const store = await create();
    await finished(store, 'v1', outcomes.held);
    await store.confirmRemovals({}, 900);
    const row = await claimOne(store);
    await store.mark([wish('v1')], 1_005);
    await store.finish('us', row, outcomes.gone, 1_010);
    expect(await rowOf(store, 'v1')).toMatchObject({ isHeld: false, isConfirmed: false });
  });

  test('only held rows that match are confirmed, each once', async () => {
    const store = await create();
    await finished(store, 'synced', outcomes.synced);
    await finished(store, 'v1', outcomes.held);
    await store.mark([wish('v1', { repository: 'group/other' })], 100);
    await store.finish('us', await claimOne(store), outcomes.held, 1_010);
    expect(await store.confirmRemovals({ repository: 'group/other' }, 1_500)).toBe(1);
    expect(await rowOf(store, 'v1')).toMatchObject({ isConfirmed: false });
    expect(await store.confirmRemovals({}, 1_500)).toBe(1);
    expect(await store.confirmRemovals({}, 1_500)).toBe(0);
    expect(await rowOf(store, 'synced')).toMatchObject({ isConfirmed: false });
  });

  test('however many are confirmed, none is left out', async () => {
    const store = await create();
    await holdMany(store, 1_100);
    expect(await store.confirmRemovals({ limit: 550 }, 2_000)).toBe(550);
    expect(await store.confirmRemovals({}, 2_000)).toBe(550);
    expect(await due(store, 2_000)).toHaveLength(1_100);
  });
}
