// Renewing leases.
import type { Prepare } from '../statements.ts';

const RENEW = `
  UPDATE rows SET lease_until = :leaseUntil
  WHERE id IN (SELECT value FROM json_each(:ids)) AND owner = :owner
  RETURNING id`;

/** @see RowStore.renew */
export function renew(prepare: Prepare, owner: string, ids: readonly number[], leaseUntil: number): readonly number[] {
  const renewed = prepare(RENEW).all({ owner, ids: JSON.stringify(ids), leaseUntil });
  return renewed.map(({ id }) => Number(id));
}
