// Places: where else in the secondary a blob is, so that it is linked from there and does not cross the WAN again.
import type { Store } from '../fill/store.ts';
import { createLru } from '../lib/lru.ts';
import type { Digest } from '../oci/digest.ts';
import type { Registry } from '../registry/registry.ts';
import { copyFailure, SecondaryReadOnly } from './copy-failure.ts';
import type { Places } from './copy.ts';
import type { RowStore } from './rows.ts';

/** What places are known by. */
export interface PlacesDeps {
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly store: Store;
  readonly rows: Pick<RowStore, 'addPlaces' | 'placesOf'>;
}

// An image of very many blobs must not keep an event from being committed in time: they are noted by so many.
const PAGE = 500;

function keyOf(name: string, digest: Digest): string {
  return `${name}@${digest}`;
}

/** A store that notes where a blob is about to be, before it is: what is stored is known, whoever brought it. */
export function noteUploads(store: Store, rows: Pick<RowStore, 'addPlaces'>): Store {
  // A note that cannot be written harms nobody: the blob may cross the WAN once more some day.
  const note = (name: string, digest: Digest): Promise<void> => rows.addPlaces(name, [digest]).catch(() => undefined);
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

/** @see Places */
export function createPlaces(deps: PlacesDeps, { timeout = 30_000 }: { timeout?: number } = {}): Places {
  const { primary, secondary, store, rows } = deps;
  // What was noted by this process is not written again.
  const noted = createLru<string, true>('places');

  async function note(name: string, digests: readonly Digest[]): Promise<void> {
    const fresh = digests.filter((digest) => !noted.has(keyOf(name, digest)));
    if (fresh.length === 0) return;
    for (let start = 0; start < fresh.length; start += PAGE) {
      const page = fresh.slice(start, start + PAGE);
      await rows.addPlaces(name, page);
      for (const digest of page) noted.set(keyOf(name, digest), true);
    }
  }

  /** Links from one place; false where the blob is not there, or not whole. */
  async function linkFrom(from: string, name: string, digest: Digest): Promise<boolean> {
    const there = await store.has(from, digest);
    if (there.kind !== 'found') throw copyFailure(`blob ${digest}`, there, 'secondary');
    // It may be under way to there, or gone: another note pushes this one out some day.
    if (!there.value) return false;
    const mounted = await secondary.uploads.mount(name, digest, from, timeout);
    if (mounted.kind === 'unsupported') throw new SecondaryReadOnly(`blob ${digest}`, 'the secondary takes no writes');
    if (mounted.kind !== 'found' || mounted.value !== undefined) return false;
    const here = await store.has(name, digest);
    return here.kind === 'found' && here.value;
  }

  async function link(name: string, digest: Digest): Promise<boolean> {
    const places = (await rows.placesOf(digest)).filter((place) => place !== name);
    if (places.length === 0) return false;
    // That it is somewhere here does not mean that it belongs to this repository.
    const belongs = await primary.blobs.head(name, digest, timeout);
    if (belongs.kind !== 'found') throw copyFailure(`blob ${digest}`, belongs, 'primary');
    for (const place of places) if (await linkFrom(place, name, digest)) return true;
    return false;
  }

  return { note, link };
}
