// Confirming removals.
import type { RowFilter } from '../../../row-views.ts';
import type { Prepare } from '../statements.ts';
import { selectionOf } from './filter.ts';

/** Answers the ids of the rows. @see RowStore.confirmRemovals */
export function confirmRemovals(prepare: Prepare, filter: RowFilter, now: number): readonly number[] {
  const { sql, values } = selectionOf({ ...filter, isHeld: true }, 'is_confirmed = 0');
  const update = `
    UPDATE rows SET is_confirmed = 1, next_attempt = MIN(next_attempt, ?)
    WHERE id IN (SELECT id FROM rows ${sql}) RETURNING id`;
  const changed = prepare(update).all(now, ...values);
  return changed.map(({ id }) => Number(id));
}
