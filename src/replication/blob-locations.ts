// Blob locations: where else in the secondary a blob is, so that it is linked from there and does not cross the WAN again.
import type { Store } from '../fill/store.ts';
import { createLru } from '../lib/lru.ts';
import type { Digest } from '../oci/digest.ts';
import { copyFailure, SecondaryReadOnly } from './copy-failure.ts';
import type { RowStore } from './rows.ts';
import { ANSWER_TIMEOUT, type Site } from './site.ts';

// An image of very many blobs must not keep an event from being committed in time: they are noted by so many.
const PAGE = 500;

/** A store that notes where a blob is about to be before it uploads it. */
export function noteUploads(store: Store, rows: Pick<RowStore, 'addBlobLocations'>): Store {
  // Without the note the blob may cross the WAN once more some day.
  const note = (name: string, digest: Digest): Promise<void> =>
    rows.addBlobLocations(name, [digest]).catch(() => undefined);
  return {
    ...store,
    async upload(name, digest, ...rest) {
      await note(name, digest);
      return store.upload(name, digest, ...rest);
    },
    async uploadAgain(name, digest, ...rest) {
      await note(name, digest);
      return store.uploadAgain(name, digest, ...rest);
    },
    async link(name, digest, ...rest) {
      await note(name, digest);
      return store.link(name, digest, ...rest);
    },
  };
}

/** Which repositories of the secondary have a blob, as far as that was noted. */
export class BlobLocations {
  readonly #site: Pick<Site, 'primary' | 'secondary' | 'rows'>;
  readonly #store: Store;
  // What was noted by this process is not written again.
  readonly #noted = createLru<string, true>('places');

  constructor(site: Pick<Site, 'primary' | 'secondary' | 'rows'>, store: Store) {
    this.#site = site;
    this.#store = store;
  }

  /** Notes that a repository has, or is about to have, these blobs. */
  async note(name: string, digests: readonly Digest[]): Promise<void> {
    const keyOf = (digest: Digest): string => `${name}@${digest}`;
    const fresh = digests.filter((digest) => !this.#noted.has(keyOf(digest)));
    for (let start = 0; start < fresh.length; start += PAGE) {
      const page = fresh.slice(start, start + PAGE);
      await this.#site.rows.addBlobLocations(name, page);
      for (const digest of page) this.#noted.set(keyOf(digest), true);
    }
  }

  /** Links a blob from another repository that has it; false where none has. @throws CopyFailed */
  async link(name: string, digest: Digest): Promise<boolean> {
    const { primary, rows } = this.#site;
    const others = (await rows.blobLocations(digest)).filter((other) => other !== name);
    if (others.length === 0) return false;
    // That another repository has it does not mean that it belongs to this one.
    const belongs = await primary.blobs.head(name, digest, ANSWER_TIMEOUT);
    if (belongs.kind !== 'found') throw copyFailure(`blob ${digest}`, belongs, 'primary');
    for (const other of others) if (await this.#linkFrom(other, name, digest)) return true;
    return false;
  }

  /** False where the blob is not in `from`, or is not whole. */
  async #linkFrom(from: string, name: string, digest: Digest): Promise<boolean> {
    const source = await this.#store.has(from, digest);
    if (source.kind !== 'found') throw copyFailure(`blob ${digest}`, source, 'secondary');
    // Its upload may still go on, or it is gone: later notes replace this one.
    if (!source.value) return false;
    const mounted = await this.#site.secondary.uploads.mount(name, digest, from, ANSWER_TIMEOUT);
    if (mounted.kind === 'unsupported') throw new SecondaryReadOnly(`blob ${digest}`);
    if (mounted.kind !== 'found' || mounted.value !== undefined) return false;
    const linked = await this.#store.has(name, digest);
    return linked.kind === 'found' && linked.value;
  }
}
