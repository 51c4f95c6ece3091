// A filter as SQL.
import type { SQLInputValue } from 'node:sqlite';
import type { RowFilter } from '../../../row-views.ts';
import type { RowState } from '../../../row.ts';

/** What follows `FROM rows`: conditions, order by id and limit, and the values of its parameters in order. */
export interface Selection {
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
}

// The states of which `recheck` is a part.
const RECHECKED: readonly RowState[] = ['pending', 'syncing'];

function marksFor(values: readonly unknown[]): string {
  return values.map(() => '?').join(', ');
}

/** The rows that match `filter` and the SQL condition `also`; few different texts, since each is prepared once. */
export function selectionOf(filter: RowFilter, also = 'TRUE'): Selection {
  const { states, shownStates, isHeld, isWaiting, repository, reference, search, cause, after, limit = -1 } = filter;
  const conditions = [also];
  const values: SQLInputValue[] = [];
  if (repository !== undefined) {
    conditions.push('repository = ?');
    values.push(repository);
  }
  if (reference !== undefined) {
    conditions.push('reference = ?');
    values.push(reference);
  }
  if (search !== undefined) {
    conditions.push('INSTR(reference, ?) > 0');
    values.push(search);
  }
  if (cause !== undefined) {
    conditions.push('cause = ? AND last_error IS NOT NULL');
    values.push(cause);
  }
  if (shownStates) {
    const column = repository === undefined && cause === undefined ? 'state' : '+state';
    const real = [...new Set(shownStates.flatMap((state) => (state === 'recheck' ? RECHECKED : [state])))];
    conditions.push(`${column} IN (${marksFor(real)}) AND shown_state IN (${marksFor(shownStates)})`);
    values.push(...real, ...shownStates);
  }
  if (states) {
    // One repository's rows are few: with the plus SQLite does not look for them among all of a state.
    const state = repository === undefined ? 'state' : '+state';
    conditions.push(`${state} IN (${marksFor(states)})`);
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
