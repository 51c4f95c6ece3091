// The checksum of a repository's tags as GitLab computes it, so that both can be compared.
import { createHash } from 'node:crypto';
import { isDigest } from '../oci/digest.ts';
import { WHOLE_REPOSITORY, type Row } from './row.ts';

/**
 * SHA-256, in hex, over `name` and `digest` of the tags that the secondary has, sorted by name, without separators: what
 * GitLab's Geo compares. Pass the rows of one repository; manifests without a tag do not count.
 */
export function repositoryChecksum(rows: readonly Pick<Row, 'reference' | 'localDigest'>[]): string {
  const tags = rows.filter(({ reference }) => !isDigest(reference) && reference !== WHOLE_REPOSITORY);
  const byName = new Map(tags.map(({ reference, localDigest }) => [reference, localDigest]));
  const hash = createHash('sha256');
  // Tags are ASCII: the order of JavaScript is that of bytes.
  for (const name of [...byName.keys()].sort()) {
    const digest = byName.get(name);
    if (digest !== undefined) hash.update(name + digest);
  }
  return hash.digest('hex');
}
