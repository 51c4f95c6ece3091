// Looking at rows.
import type { RowFilter } from '../../../row-views.ts';
import type { Row } from '../../../row.ts';
import type { Prepare } from '../statements.ts';
import { selectionOf } from './filter.ts';
import { rowOf } from './row.ts';

/** @see RowStore.list */
export function list(prepare: Prepare, filter: RowFilter): readonly Row[] {
  const { sql, values } = selectionOf(filter);
  return prepare(`SELECT * FROM rows ${sql}`)
    .all(...values)
    .map(rowOf);
}

/** @see RowStore.find */
export function find(prepare: Prepare, repository: string, reference: string): Row | undefined {
  const columns = prepare('SELECT * FROM rows WHERE repository = ? AND reference = ?').get(repository, reference);
  return columns && rowOf(columns);
}

/** @see RowStore.repositories */
export function repositories(prepare: Prepare): readonly string[] {
  const names = prepare('SELECT DISTINCT repository FROM rows ORDER BY repository').all();
  return names.map(({ repository }) => String(repository));
}
