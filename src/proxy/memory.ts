// What the proxy remembers between requests: manifests by repository, sizes of blobs, and local blobs not to be trusted.
import { createLru } from '../lib/lru.ts';
import type { Digest } from '../oci/digest.ts';
import { linksOf, type Links, type Manifest } from '../oci/manifest.ts';
import { contentHeaders } from './headers.ts';

/** A manifest in memory. */
export interface Remembered {
  readonly manifest: Manifest;
  readonly links: Links;
  /** What it is served with: the same for every client. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether it came from the primary and its blobs were not yet started ahead of the client. */
  isCold: boolean;
}

/** Bounded memory; manifests are kept per repository, since a digest says nothing about who may read it. */
export interface Memory {
  manifest(name: string, digest: Digest): Remembered | undefined;
  /** Remembers a manifest, and the sizes that it gives for its blobs. */
  remember(name: string, manifest: Manifest, isCold: boolean): Remembered;
  /** Drops a manifest that was removed. */
  forget(name: string, digest: Digest): void;
  /** Never serves a manifest from now on: it only stands in for a tag that is being removed. */
  hide(digest: Digest): void;
  isHidden(digest: Digest): boolean;
  /** The size of a blob: proven, or else as a manifest gave it. */
  sizeOf(digest: Digest): number | undefined;
  /** Notes a size that the bytes or the primary have proved; what manifests say, which anybody may write, ends there. */
  learnSize(digest: Digest, size: number): void;
  /** Notes that the local copy was read, or written, and has the digest; and whether that was noted. */
  markRead(digest: Digest): void;
  wasRead(digest: Digest): boolean;
  /** Whether the local copy of a blob was found short or wrong. */
  isDamaged(digest: Digest): boolean;
  markDamaged(digest: Digest): void;
  /** The local copy is whole again. */
  clearDamaged(digest: Digest): void;
  /** Whether a damaged copy is to be looked at again; true once in a while for each. */
  isDue(digest: Digest): boolean;
}

/** Knobs; times in milliseconds. */
export interface MemoryOptions {
  /** How often a damaged blob may be looked at again. */
  readonly lookAgain?: number;
  readonly clock?: () => number;
}

// Longer than this (ms) a manifest is not believed without asking the secondary.
const BELIEF = 60_000;
const OVERHEAD = 1_024;
/** Manifests over this are not kept (bytes): registries take none. */
const KEPT_MAX = 4 * 1024 * 1024;
const SIZES_MAX = 100_000;
const DAMAGED_MAX = 100_000;

function key(name: string, digest: Digest): string {
  return `${name}@${digest}`;
}

/** A memory of at most `bytes` for manifests. */
export function createMemory(bytes: number, options: MemoryOptions = {}): Memory {
  const { lookAgain = 30_000, clock = () => performance.now() } = options;
  const sizeOf = ({ manifest }: Remembered): number => manifest.bytes.length + OVERHEAD;
  const manifests = createLru<string, Remembered>(Math.max(1, bytes), { ttl: BELIEF }, sizeOf);
  const claimed = createLru<Digest, number>(SIZES_MAX);
  const proven = createLru<Digest, number>(SIZES_MAX);
  const read = createLru<Digest, true>(SIZES_MAX);
  const damaged = createLru<Digest, { dueAt: number }>(DAMAGED_MAX);

  const hidden = new Set<Digest>();

  return {
    hide: (digest) => void hidden.add(digest),
    isHidden: (digest) => hidden.has(digest),
    manifest: (name, digest) => manifests.get(key(name, digest)),
    remember(name, manifest, isCold) {
      const links = linksOf(manifest);
      // The largest: a manifest that says too little must not end a blob for those of another.
      for (const { digest, size = -1 } of links.blobs)
        if (size > (claimed.get(digest) ?? -1)) claimed.set(digest, size);
      const headers = {
        ...contentHeaders(manifest.digest, manifest.mediaType),
        'content-length': String(manifest.bytes.length),
      };
      const remembered: Remembered = { manifest, links, headers, isCold };
      if (manifest.bytes.length <= KEPT_MAX) manifests.set(key(name, manifest.digest), remembered);
      return remembered;
    },
    forget: (name, digest) => void manifests.delete(key(name, digest)),
    sizeOf: (digest) => proven.get(digest) ?? claimed.get(digest),
    learnSize: (digest, size) => void proven.set(digest, size),
    markRead: (digest) => void read.set(digest, true),
    wasRead: (digest) => read.get(digest) === true,
    isDamaged: (digest) => damaged.has(digest),
    markDamaged: (digest) => {
      read.delete(digest);
      if (!damaged.has(digest)) damaged.set(digest, { dueAt: 0 });
    },
    clearDamaged: (digest) => void damaged.delete(digest),
    isDue(digest) {
      const entry = damaged.get(digest);
      if (!entry || clock() < entry.dueAt) return false;
      entry.dueAt = clock() + lookAgain;
      return true;
    },
  };
}
