// Forgetting what was known of the primary.
import type { RowFilter } from '../../../row-views.ts';
import { PRIORITY } from '../../../row.ts';
import type { Prepare } from '../statements.ts';
import { selectionOf } from './filter.ts';

/** Answers the ids of the rows. @see RowStore.markAllUnknown */
export function markAllUnknown(prepare: Prepare, page: RowFilter, now: number): readonly number[] {
  const { sql, values } = selectionOf(page);
  const update = `
    UPDATE rows SET
      priority = CASE WHEN state IN ('synced', 'unsupported') THEN ${PRIORITY.backfill} ELSE priority END,
      state = 'pending', generation = generation + 1, attempts = 0, next_attempt = ?, marked_at = ?,
      last_error = NULL, primary_digest = NULL, local_digest = NULL, synced_at = NULL, verified_at = NULL,
      is_confirmed = 0, waits_for = NULL, owner = NULL, lease_until = NULL
    WHERE id IN (SELECT id FROM rows ${sql}) RETURNING id`;
  const changed = prepare(update).all(now, now, ...values);
  return changed.map(({ id }) => Number(id));
}
