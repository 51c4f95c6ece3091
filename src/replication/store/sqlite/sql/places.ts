// Where blobs are.
import type { Digest } from '../../../../oci/digest.ts';
import { PLACES_MAX } from '../../limits.ts';
import type { Prepare } from '../statements.ts';

// A base layer is in every repository: a few of them are as good as all.
const ADD = `
  INSERT OR IGNORE INTO places (digest, repository)
  SELECT :digest, :repository WHERE (SELECT COUNT(*) FROM places WHERE digest = :digest) < ${PLACES_MAX}`;

/** @see RowStore.addPlaces */
export function addPlaces(prepare: Prepare, repository: string, digests: readonly Digest[]): void {
  for (const digest of digests) prepare(ADD).run({ digest, repository });
}

/** @see RowStore.placesOf */
export function placesOf(prepare: Prepare, digest: Digest): readonly string[] {
  const places = prepare('SELECT repository FROM places WHERE digest = ? ORDER BY repository').all(digest);
  return places.map(({ repository }) => String(repository));
}

/** @see RowStore.removePlace */
export function removePlace(prepare: Prepare, repository: string, digest: Digest): void {
  prepare('DELETE FROM places WHERE digest = ? AND repository = ?').run(digest, repository);
}
