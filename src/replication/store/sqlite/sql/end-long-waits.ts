// Ending waits that are longer than any back-off: the clock was ahead when they began.
import type { RowFilter } from '../../../row-views.ts';
import { PUT_OFF_MAX } from '../../../row.ts';
import type { Prepare } from '../statements.ts';

// Naming every priority lets SQLite seek those of each.
const LONG = 'SELECT id FROM rows WHERE priority IN (0, 1, 2, 3) AND due > :latest LIMIT :limit';
const LONG_OF = 'SELECT id FROM rows WHERE repository = :repository AND due > :latest LIMIT :limit';

function update(selection: string): string {
  return `
    UPDATE rows SET next_attempt = :now, lease_until = CASE WHEN state = 'syncing' THEN :now ELSE lease_until END
    WHERE id IN (${selection}) RETURNING id`;
}

const END = update(LONG);
const END_OF = update(LONG_OF);

/** Of the filter only repository and limit count. Answers the ids of the rows. @see RowStore.endLongWaits */
export function endLongWaits(prepare: Prepare, { repository, limit = -1 }: RowFilter, now: number): readonly number[] {
  const values = { now, latest: now + PUT_OFF_MAX, limit };
  const changed = repository === undefined ? prepare(END).all(values) : prepare(END_OF).all({ ...values, repository });
  return changed.map(({ id }) => Number(id));
}
