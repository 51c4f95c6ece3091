// Claiming rows. Both statements run in one transaction that holds the write lock: no two owners get one row.
import type { Row } from '../../../row.ts';
import type { Prepare } from '../statements.ts';
import { rowOf } from './row.ts';

// Naming every priority lets SQLite seek the due ones of each, past all that wait for a later time.
const DUE = `
  SELECT * FROM rows WHERE priority IN (0, 1, 2, 3) AND due <= :now ORDER BY priority, due, id LIMIT :limit`;

const LEASE = `
  UPDATE rows SET state = 'syncing', owner = :owner, lease_until = :leaseUntil, claim = claim + 1,
    waits_for = NULL
  WHERE id = :id`;

/** @see RowStore.claim */
export function claim(prepare: Prepare, owner: string, limit: number, now: number, leaseUntil: number): readonly Row[] {
  const due = prepare(DUE).all({ now, limit });
  return due.map((columns) => {
    const row = rowOf({ ...columns, waits_for: null });
    prepare(LEASE).run({ owner, leaseUntil, id: row.id });
    return { ...row, state: 'syncing', claim: row.claim + 1 };
  });
}
