// Where else in the secondary blobs are.
import type { Digest } from '../../../../oci/digest.ts';
import { LOCATIONS_MAX } from '../../limits.ts';
import type { Prepare } from '../statements.ts';

// A place that is noted again becomes the latest.
const ADD = 'INSERT OR REPLACE INTO places (digest, repository) VALUES (:digest, :repository)';

// A base layer is in every repository. More than one is kept, since the upload of the latest may still be under way.
const TRIM = `
  DELETE FROM places WHERE digest = :digest AND id <= (
    SELECT id FROM places WHERE digest = :digest ORDER BY id DESC LIMIT 1 OFFSET ${LOCATIONS_MAX})`;

/** @see RowStore.addBlobLocations */
export function addBlobLocations(prepare: Prepare, repository: string, digests: readonly Digest[]): void {
  for (const digest of digests) {
    prepare(ADD).run({ digest, repository });
    prepare(TRIM).run({ digest });
  }
}

/** @see RowStore.blobLocations */
export function blobLocations(prepare: Prepare, digest: Digest): readonly string[] {
  const places = prepare('SELECT repository FROM places WHERE digest = ? ORDER BY id').all(digest);
  return places.map(({ repository }) => String(repository));
}
