// Rows that are not synced, counted by cause.
import type { CauseCount } from '../../../row-views.ts';
import type { Prepare } from '../statements.ts';

const CAUSES = `
  SELECT cause, COUNT(*) AS rows, COUNT(*) FILTER (WHERE state = 'unsupported') AS unsupported
  FROM rows INDEXED BY rows_cause WHERE last_error IS NOT NULL GROUP BY cause ORDER BY rows DESC, cause LIMIT ?`;

/** @see RowStore.causes */
export function causes(prepare: Prepare, limit: number): readonly CauseCount[] {
  return prepare(CAUSES)
    .all(limit)
    .map(({ cause, rows, unsupported }) => ({
      cause: String(cause),
      rows: Number(rows),
      unsupported: Number(unsupported),
    }));
}
