// 100,000 rows of 2,000 repositories, none of them due while they are looked at.
import { digestOf } from '../../src/oci/digest.ts';
import type { Mark, Outcome } from '../../src/replication/row-queue.ts';
import type { RowPriority } from '../../src/replication/row.ts';
import type { RowStore } from '../../src/replication/rows.ts';

export const ROWS = 100_000;
export const REPOSITORIES = 2_000;
/** Nothing is due before, in milliseconds from now: within what a start lets stand. */
export const LATER = 15 * 60_000;
const PAGE = 500;

function page(start: number): Mark[] {
  return Array.from({ length: PAGE }, (_, index) => {
    const nth = start + index;
    const priority = (nth % 4) as RowPriority;
    return { repository: `group/project-${nth % REPOSITORIES}/image`, reference: `v1.${nth}`, priority, eventAt: nth };
  });
}

/** Outcomes that rows can be given. */
export function outcomesAt(then: number): Readonly<Record<'synced' | 'failed' | 'unsupported', Outcome>> {
  return {
    synced: { kind: 'synced', digest: digestOf(Buffer.from('one')), bytes: 1_000 },
    failed: { kind: 'failed', error: 'a blob is missing', nextAttempt: then + LATER },
    unsupported: { kind: 'unsupported', error: 'schema 1' },
  };
}

/** Fills a store; the first `finished` rows come to the end that `outcomeOf` says, the others wait. */
export async function fillRows(
  store: RowStore,
  finished: number,
  outcomeOf: (nth: number, outcomes: ReturnType<typeof outcomesAt>) => Outcome,
): Promise<void> {
  const then = Date.now() + LATER;
  for (let start = 0; start < ROWS; start += PAGE) await store.mark(page(start), then);
  const rows = await store.claim('bench', finished, then + 1, then + 2);
  const outcomes = outcomesAt(then);
  for (let start = 0; start < rows.length; start += PAGE) {
    const some = rows.slice(start, start + PAGE);
    await Promise.all(
      some.map((row, index) => store.finish('bench', row, outcomeOf(start + index, outcomes), then + 1)),
    );
  }
}
