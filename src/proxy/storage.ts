// The local registry's own files, where its storage is a file system that we can read: a repository's link to a blob,
// and the blob's data (Distribution's layout).
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { algorithmOf, hexOf, parseDigest, type Digest } from '../oci/digest.ts';
import type { Place } from './place.ts';

/** A blob's data, of which the repository's link was read. */
export interface DataFile {
  /** Its path below the directory of all blobs: `sha256/ab/ab…/data`. */
  readonly path: string;
  /** The bytes that it has now. */
  readonly size: number;
}

/** The files of the local registry. What cannot be read counts as not there: the registry itself is then asked. */
export interface Storage {
  find(place: Place): Promise<DataFile | undefined>;
  /** As `find`, opened; the caller closes it. */
  open(place: Place): Promise<{ readonly file: FileHandle; readonly size: number } | undefined>;
}

const LAYOUT = 'docker/registry/v2';

/**
 * Files below a storage root (`rootdirectory`). A blob is in a repository when its `_layers` links it; a manifest's
 * revision is no blob. `isUsable` tells whether the links are what the registry goes by.
 */
export function createStorage(root: string, isUsable: () => boolean | Promise<boolean>): Storage {
  const repositories = join(root, LAYOUT, 'repositories');
  const blobs = join(root, LAYOUT, 'blobs');

  /**
   * The digest that a link holds. It may differ from the link's name: a sha512 link holds the sha256 that names the
   * data.
   */
  async function target({ name, digest }: Place): Promise<Digest | undefined> {
    const algorithm = algorithmOf(digest);
    const link = await readFile(join(repositories, name, '_layers', algorithm, hexOf(digest), 'link'), 'latin1');
    const held = parseDigest(link.trim());
    return algorithm === 'sha512' || held === digest ? held : undefined;
  }

  async function pathOf(place: Place): Promise<string | undefined> {
    if (!(await isUsable())) return undefined;
    const held = await target(place).catch(() => undefined);
    if (held === undefined) return undefined;
    // Made of a digest's two parts alone, which have only letters and digits.
    const hex = hexOf(held);
    return `${algorithmOf(held)}/${hex.slice(0, 2)}/${hex}/data`;
  }

  return {
    async find(place) {
      const path = await pathOf(place);
      if (path === undefined) return undefined;
      const found = await stat(join(blobs, path)).catch(() => undefined);
      return found?.isFile() ? { path, size: found.size } : undefined;
    },
    async open(place) {
      const path = await pathOf(place);
      const file = path === undefined ? undefined : await open(join(blobs, path)).catch(() => undefined);
      if (!file) return undefined;
      const found = await file.stat().catch(() => undefined);
      if (found?.isFile()) return { file, size: found.size };
      await file.close();
      return undefined;
    },
  };
}
