// Blobs whose bytes were read.
import type { Digest } from '../../../../oci/digest.ts';
import type { BlobRecord } from '../../../records.ts';
import type { Prepare } from '../statements.ts';
import type { Columns } from './row.ts';

function blobOf(columns: Columns): BlobRecord {
  return {
    repository: String(columns['repository']),
    digest: columns['digest'] as Digest,
    verifiedAt: Number(columns['verified_at']),
    isDamaged: columns['is_damaged'] === 1,
  };
}

const PUT = `
  INSERT INTO blobs (repository, digest, verified_at, is_damaged) VALUES (:repository, :digest, :verifiedAt, :isDamaged)
  ON CONFLICT (repository, digest) DO UPDATE SET verified_at = excluded.verified_at, is_damaged = excluded.is_damaged`;

/** @see RowStore.putBlob */
export function putBlob(prepare: Prepare, { repository, digest, verifiedAt, isDamaged }: BlobRecord): void {
  prepare(PUT).run({ repository, digest, verifiedAt, isDamaged: Number(isDamaged) });
}

/** @see RowStore.blobsVerifiedBefore */
export function blobsVerifiedBefore(prepare: Prepare, before: number, limit: number): readonly BlobRecord[] {
  const blobs = prepare('SELECT * FROM blobs WHERE verified_at < ? ORDER BY verified_at LIMIT ?').all(before, limit);
  return blobs.map(blobOf);
}

/** @see RowStore.findBlob */
export function findBlob(prepare: Prepare, repository: string, digest: Digest): BlobRecord | undefined {
  const columns = prepare('SELECT * FROM blobs WHERE repository = ? AND digest = ?').get(repository, digest);
  return columns && blobOf(columns);
}

/** @see RowStore.damagedBlobs */
export function damagedBlobs(prepare: Prepare, limit: number): readonly BlobRecord[] {
  const blobs = prepare('SELECT * FROM blobs WHERE is_damaged ORDER BY repository, digest LIMIT ?').all(limit);
  return blobs.map(blobOf);
}

/** @see RowStore.forgetBlob */
export function forgetBlob(prepare: Prepare, repository: string, digest: Digest): void {
  prepare('DELETE FROM blobs WHERE repository = ? AND digest = ?').run(repository, digest);
}
