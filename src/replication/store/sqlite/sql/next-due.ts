// When the next row is due.
import type { Prepare } from '../statements.ts';

// The first of each priority: a plain MIN would read the whole index.
const FIRST = 'SELECT due FROM rows WHERE priority = :priority AND due IS NOT NULL ORDER BY due LIMIT 1';

/** @see RowStore.nextDue */
export function nextDue(prepare: Prepare): number | undefined {
  const first = [0, 1, 2, 3].map((priority) => prepare(FIRST).get({ priority })?.['due']);
  const known = first.filter((due) => typeof due === 'number');
  return known.length > 0 ? Math.min(...known) : undefined;
}
