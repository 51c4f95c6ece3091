// Makes rows due again because a person asks for it.
import type { RowFilter } from '../../../row-views.ts';
import { PRIORITY } from '../../../row.ts';
import type { Prepare } from '../statements.ts';
import { selectionOf } from './filter.ts';

const TRIED = ['failed', 'unsupported'] as const;

/** Answers the ids of the rows. @see RowStore.retry */
export function retry(prepare: Prepare, filter: RowFilter, now: number): readonly number[] {
  const { sql, values } = selectionOf({ states: TRIED, ...filter });
  const update = `
    UPDATE rows SET
      generation = generation + 1,
      attempts = 0,
      waits_for = NULL,
      priority = CASE WHEN state IN ('synced', 'unsupported') THEN ${PRIORITY.reconcile} ELSE priority END,
      next_attempt = CASE WHEN state IN ('synced', 'unsupported') THEN ? ELSE MIN(next_attempt, ?) END,
      marked_at = ?,
      state = CASE WHEN state = 'syncing' THEN state ELSE 'pending' END
    WHERE id IN (SELECT id FROM rows ${sql}) RETURNING id`;
  const changed = prepare(update).all(now, now, now, ...values);
  return changed.map(({ id }) => Number(id));
}
