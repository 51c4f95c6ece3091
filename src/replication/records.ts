// What is stored beside the rows: blobs, malformed events, dummies and facts.
import type { Digest } from '../oci/digest.ts';

/** A blob of the secondary whose bytes were read, or found wrong. */
export interface BlobRecord {
  readonly repository: string;
  readonly digest: Digest;
  readonly verifiedAt: number;
  readonly isDamaged: boolean;
}

/** Records of blobs by repository and digest. */
export interface BlobRecords {
  putBlob(record: BlobRecord): Promise<void>;
  /** Blobs last read before `before`, the oldest first. */
  blobsVerifiedBefore(before: number, limit: number): Promise<readonly BlobRecord[]>;
  findBlob(repository: string, digest: Digest): Promise<BlobRecord | undefined>;
  damagedBlobs(limit: number): Promise<readonly BlobRecord[]>;
  forgetBlob(repository: string, digest: Digest): Promise<void>;

  /** Notes that blobs are, or are about to be, in a repository of the secondary; of each the latest 16 are kept. */
  addBlobLocations(repository: string, digests: readonly Digest[]): Promise<void>;
  /** Repositories of the secondary in which a blob may be, in the order of their notes. */
  blobLocations(digest: Digest): Promise<readonly string[]>;
}

/** An event that could not be understood, kept for people. */
export interface MalformedEvent {
  readonly at: number;
  readonly reason: string;
  /** At most 64 KiB of the body. */
  readonly body: string;
}

/** Malformed events. */
export interface EventRecords {
  /** Keeps an event; beyond 1,000 the oldest go. */
  keepMalformed(event: MalformedEvent): Promise<void>;
  /** The newest first. */
  malformed(limit: number): Promise<readonly MalformedEvent[]>;
}

/** A dummy manifest that stands on a tag while it is removed: known before it is put, so that it is never served. */
export interface Dummy {
  readonly repository: string;
  readonly tag: string;
  readonly digest: Digest;
}

/** Dummies that may still be in the secondary. */
export interface DummyRecords {
  addDummy(dummy: Dummy): Promise<void>;
  removeDummy(dummy: Dummy): Promise<void>;
  dummies(): Promise<readonly Dummy[]>;
}

/** Small facts by name (the primary's URL, cursors, last runs), as JSON values. */
export interface Facts {
  getFact(name: string): Promise<unknown>;
  setFact(name: string, value: unknown): Promise<void>;
}
