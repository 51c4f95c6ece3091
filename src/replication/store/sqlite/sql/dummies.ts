// Dummy manifests of removals that are under way.
import type { Digest } from '../../../../oci/digest.ts';
import type { Dummy } from '../../../records.ts';
import type { Prepare } from '../statements.ts';

/** @see RowStore.addDummy */
export function addDummy(prepare: Prepare, { repository, tag, digest }: Dummy): void {
  prepare('INSERT OR IGNORE INTO dummies (repository, tag, digest) VALUES (?, ?, ?)').run(repository, tag, digest);
}

/** @see RowStore.removeDummy */
export function removeDummy(prepare: Prepare, { repository, tag, digest }: Dummy): void {
  prepare('DELETE FROM dummies WHERE repository = ? AND tag = ? AND digest = ?').run(repository, tag, digest);
}

/** @see RowStore.dummies */
export function dummies(prepare: Prepare): readonly Dummy[] {
  const found = prepare('SELECT repository, tag, digest FROM dummies ORDER BY repository, tag, digest').all();
  return found.map(({ repository, tag, digest }) => ({
    repository: String(repository),
    tag: String(tag),
    digest: digest as Digest,
  }));
}
