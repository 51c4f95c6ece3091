// Rows as the store's tests need them. Times are small numbers: the store has no clock of its own.
import { expect } from 'vitest';
import { digestOf, type Digest } from '../../../src/oci/digest.ts';
import type { Mark, Outcome } from '../../../src/replication/row-queue.ts';
import type { Row } from '../../../src/replication/row.ts';
import type { RowStore } from '../../../src/replication/rows.ts';
import { repository, wish } from './given-marks.ts';

export { repository, wish };

/** Gives an empty store that goes with the test. */
export type CreateStore = () => Promise<RowStore>;

export const digest: Digest = digestOf(Buffer.from('one'));
export const otherDigest: Digest = digestOf(Buffer.from('two'), 'sha512');

/** The row of a tag, which has to be there. */
export async function rowOf(store: RowStore, reference: string): Promise<Row> {
  const row = await store.find(repository, reference);
  expect(row, `row of ${reference}`).toBeDefined();
  return row!;
}

/** Claims the one row that is due at `now`. */
export async function claimOne(store: RowStore, { owner = 'us', now = 1_000, lease = 100 } = {}): Promise<Row> {
  const claimed = await store.claim(owner, 10, now, now + lease);
  expect(claimed).toHaveLength(1);
  return claimed[0]!;
}

/** References of what is due at `now`, in the order in which they are handed out; they stay claimed. */
export async function due(store: RowStore, now: number, owner = 'us'): Promise<string[]> {
  const claimed = await store.claim(owner, 10_000, now, now + 100);
  return claimed.map((row) => row.reference);
}

/** How a claim may end. */
export const outcomes = {
  synced: { kind: 'synced', digest, bytes: 10 },
  gone: { kind: 'gone', isRemoval: true },
  held: { kind: 'held' },
  unsupported: { kind: 'unsupported', error: 'schema 1' },
  failed: { kind: 'failed', error: 'a blob is missing', nextAttempt: 5_000 },
  released: { kind: 'released', nextAttempt: 5_000 },
} satisfies Record<string, Outcome>;

/** Every outcome, for tests that hold for all. */
export const allOutcomes = Object.values(outcomes);

/** Marks a tag at 100, claims it at 1,000 and ends that at 1,010. */
export async function finished(
  store: RowStore,
  reference: string,
  outcome: Outcome,
  mark?: Partial<Mark>,
): Promise<Row> {
  await store.mark([wish(reference, mark)], 100);
  const row = await claimOne(store);
  await store.finish('us', row, outcome, 1_010);
  return rowOf(store, reference);
}
