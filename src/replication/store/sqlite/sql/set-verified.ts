// Noting that a row's blobs were read.
import type { Row } from '../../../row.ts';
import type { Prepare } from '../statements.ts';

const VERIFY = 'UPDATE rows SET verified_at = :now WHERE id = :id AND local_digest = :digest';

/** @see RowStore.setVerified */
export function setVerified(prepare: Prepare, row: Row, now: number): void {
  prepare(VERIFY).run({ id: row.id, digest: row.localDigest ?? null, now });
}
