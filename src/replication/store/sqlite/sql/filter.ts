// A filter as SQL.
import type { SQLInputValue } from 'node:sqlite';
import type { RowFilter } from '../../../rows.ts';

/** What follows `FROM rows`: conditions, order by id and limit, and the values of its parameters in order. */
export interface Selection {
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
}

/** The rows that match `filter` and the SQL condition `also`; few different texts, since each is prepared once. */
export function selectionOf(filter: RowFilter, also = 'TRUE'): Selection {
  const { states, isHeld, isWaiting, repository, after, limit = -1 } = filter;
  const conditions = [also];
  const values: SQLInputValue[] = [];
  if (repository !== undefined) {
    conditions.push('repository = ?');
    values.push(repository);
  }
  if (states) {
    // One repository's rows are few: with the plus SQLite does not look for them among all of a state.
    const state = repository === undefined ? 'state' : '+state';
    conditions.push(`${state} IN (${states.map(() => '?').join(', ')})`);
    values.push(...states);
  }
  if (isHeld !== undefined) conditions.push(`held_generation IS ${isHeld ? 'NOT ' : ''}NULL`);
  if (isWaiting !== undefined) conditions.push(`waits_for IS ${isWaiting ? 'NOT ' : ''}NULL`);
  if (after !== undefined) {
    conditions.push('id > ?');
    values.push(after);
  }
  return { sql: `WHERE ${conditions.join(' AND ')} ORDER BY id LIMIT ?`, values: [...values, limit] };
}
