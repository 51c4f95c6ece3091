// What the proxy remembers between requests: manifests by repository, sizes of blobs, and local blobs not to be trusted.
import { createLru } from '../lib/lru.ts';
import type { Digest } from '../oci/digest.ts';
import { linksOf, type Links, type Manifest } from '../oci/manifest.ts';
import { contentHeaders } from './headers.ts';

/** A manifest in memory. */
export interface Remembered {
  readonly manifest: Manifest;
  /** What it is served with: the same for every client. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of one that came from the primary: its largest blobs, until they are started ahead of the client. */
  ahead: readonly Digest[];
}

/** Bounded memory; manifests are kept per repository, since a digest says nothing about who may read it. */
export interface Memory {
  manifest(name: string, digest: Digest): Remembered | undefined;
  /** Remembers a manifest, and the sizes that it gives for its blobs. */
  remember(name: string, manifest: Manifest, isCold: boolean): Remembered;
  /** Drops a manifest that was removed. */
  forget(name: string, digest: Digest): void;
  /** Marks a manifest as never to be served: a dummy, which stands on a tag while that is removed. */
  hide(digest: Digest): void;
  isHidden(digest: Digest): boolean;
  /** The size of a blob: proven, or else as a manifest gave it. */
  sizeOf(digest: Digest): number | undefined;
  /** Notes a size that the bytes or the primary have proved. It replaces what manifests say, which anybody may push. */
  learnSize(digest: Digest, size: number): void;
  /** Notes that the local copy was read, or written, and has the digest; and whether that was noted. */
  markRead(digest: Digest): void;
  wasRead(digest: Digest): boolean;
  /** Whether the local copy of a blob was found short or wrong. */
  isDamaged(digest: Digest): boolean;
  markDamaged(digest: Digest): void;
  /** The local copy is whole again. */
  clearDamaged(digest: Digest): void;
  /** Whether a damaged copy is due to be read again; true at most once in `lookAgain` ms for each. */
  isDue(digest: Digest): boolean;
}

/** Options; times in milliseconds. */
export interface MemoryOptions {
  /** How often a damaged blob may be looked at again. */
  readonly lookAgain?: number;
  readonly clock?: () => number;
}

// How long (ms) a manifest is served from memory without asking the secondary.
const BELIEF = 60_000;
// Bytes of a manifest in memory beside its own: headers, digests, objects.
const OVERHEAD = 2_048;
/** Manifests over this are neither kept nor read (bytes): registries take none. */
const KEPT_MAX = 4 * 1024 * 1024;
/** Blobs that are started ahead of a client when its manifest was a miss. */
const AHEAD_MAX = 8;
// As wide as an image may be, see replication/copy.ts.
const SIZES_OF_ONE = 10_000;
// Bytes of what is noted of a damaged blob.
const DUE = 32;

const NOTHING: Pick<Links, 'blobs'> = { blobs: [] };

/** The largest first. The configuration is small, and clients ask for it at once anyway. */
function largest(blobs: Links['blobs']): readonly Digest[] {
  const first = blobs.toSorted((one, other) => (other.size ?? 0) - (one.size ?? 0)).slice(0, AHEAD_MAX);
  return first.map(({ digest }) => digest);
}

/** Copies a buffer that is part of a larger one, which it would keep in memory. */
function ownBytes(manifest: Manifest): Manifest {
  if (manifest.bytes.buffer.byteLength === manifest.bytes.length) return manifest;
  const bytes = Buffer.allocUnsafeSlow(manifest.bytes.length);
  manifest.bytes.copy(bytes);
  return { ...manifest, bytes };
}

function key(name: string, digest: Digest): string {
  return `${name}@${digest}`;
}

/** A memory of at most `bytes` for manifests. */
export function createMemory(bytes: number, options: MemoryOptions = {}): Memory {
  const { lookAgain = 30_000, clock = () => performance.now() } = options;
  const manifests = createLru<string, Remembered>('manifests', {
    maxBytes: Math.max(1, bytes),
    ttl: BELIEF,
    sizeOf: ({ manifest }) => manifest.bytes.length + OVERHEAD,
  });
  const claimed = createLru<Digest, number>('claimedSizes');
  const proven = createLru<Digest, number>('provenSizes');
  const read = createLru<Digest, true>('readBlobs');
  const damaged = createLru<Digest, { dueAt: number }>('unservedBlobs', { sizeOf: () => DUE });
  // A dummy is deleted again by the removal that put it: only the latest can still be there.
  const hidden = createLru<Digest, true>('dummies');

  return {
    hide: (digest) => void hidden.set(digest, true),
    isHidden: (digest) => hidden.has(digest),
    manifest: (name, digest) => manifests.get(key(name, digest)),
    remember(name, manifest, isCold) {
      const isKept = manifest.bytes.length <= KEPT_MAX;
      const { blobs } = isKept ? linksOf(manifest) : NOTHING;
      // The largest size counts: a manifest with a size that is too small must not cut the blob for others.
      for (const { digest, size = -1 } of blobs.slice(0, SIZES_OF_ONE))
        if (size > (claimed.get(digest) ?? -1)) claimed.set(digest, size);
      const headers = {
        ...contentHeaders(manifest.digest, manifest.mediaType),
        'content-length': String(manifest.bytes.length),
      };
      const remembered: Remembered = { manifest: ownBytes(manifest), headers, ahead: isCold ? largest(blobs) : [] };
      if (isKept) manifests.set(key(name, manifest.digest), remembered);
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
