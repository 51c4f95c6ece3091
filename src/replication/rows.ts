// Rows: what is known of each tag and each untagged manifest, here and at the primary. Whatever wants something
// replicated only marks rows; workers claim them. Every store (SQLite, and one day PostgreSQL) keeps this contract.
import type { Digest } from '../oci/digest.ts';

/** `syncing` only while a worker holds the row's lease. `unsupported`: the secondary cannot hold it; not retried. */
export type RowState = 'pending' | 'syncing' | 'synced' | 'failed' | 'unsupported';

/** Who asked, the most urgent first. */
export const PRIORITY = { onDemand: 0, event: 1, reconcile: 2, backfill: 3 } as const;

/** One of {@link PRIORITY}. */
export type RowPriority = (typeof PRIORITY)[keyof typeof PRIORITY];

/** One row; all times in milliseconds since the epoch. */
export interface Row {
  readonly id: number;
  readonly repository: string;
  /** A tag, or the digest of a manifest that has to be here without one. */
  readonly reference: string;
  readonly state: RowState;
  readonly priority: RowPriority;
  /** Grows with each mark: work that began at an older one is done again. */
  readonly generation: number;
  readonly attempts: number;
  readonly nextAttempt: number;
  /** At most 255 characters, for people. */
  readonly lastError?: string;
  readonly primaryDigest?: Digest;
  readonly localDigest?: Digest;
  /** When the oldest event arrived that this row has not caught up with: its age is the lag. */
  readonly eventAt?: number;
  readonly markedAt: number;
  readonly syncedAt?: number;
  readonly verifiedAt?: number;
  /** Body bytes that its copies brought over. */
  readonly bytes: number;
  /** A removal that waits for a person: more were due than the limit allows. */
  readonly isHeld: boolean;
  /** A person has confirmed its removal. */
  readonly isConfirmed: boolean;
}

/** A wish that a reference be looked at again. */
export interface Mark {
  readonly repository: string;
  readonly reference: string;
  readonly priority: RowPriority;
  /** When the event arrived that the mark comes from. */
  readonly eventAt?: number;
}

/** How a claimed row's work ended. */
export type Outcome =
  /** The secondary answered with the primary's digest. */
  | { readonly kind: 'synced'; readonly digest: Digest; readonly bytes: number }
  /** The reference is on neither side any more: the row goes. `isRemoval` counts towards the limit. */
  | { readonly kind: 'gone'; readonly isRemoval: boolean }
  /** A removal is due, but the limit is reached. */
  | { readonly kind: 'held' }
  | { readonly kind: 'unsupported'; readonly error: string }
  | { readonly kind: 'failed'; readonly error: string; readonly nextAttempt: number }
  /** Not tried (paused, shutting down): no attempt is burned. */
  | { readonly kind: 'released'; readonly nextAttempt: number };

/** Which rows; all of the conditions that are given. */
export interface RowFilter {
  readonly states?: readonly RowState[];
  readonly isHeld?: boolean;
  readonly repository?: string;
  /** Rows after this id, for paging. */
  readonly after?: number;
  readonly limit?: number;
}

/** Counts for the status; times in milliseconds since the epoch. */
export interface Counts {
  readonly states: Readonly<Record<RowState, number>>;
  readonly held: number;
  /** Pending rows by priority, in the order of {@link PRIORITY}. */
  readonly queue: Readonly<Record<keyof typeof PRIORITY, number>>;
  readonly oldestEventAt?: number;
  readonly bytes: number;
  readonly verified: number;
  readonly damagedBlobs: number;
  readonly malformedEvents: number;
  readonly removalsLastDay: number;
}

/** A blob of the secondary whose bytes were read, or found wrong. */
export interface BlobRecord {
  readonly repository: string;
  readonly digest: Digest;
  readonly verifiedAt: number;
  readonly isDamaged: boolean;
}

/** An event that could not be understood, kept for people. */
export interface MalformedEvent {
  readonly at: number;
  readonly reason: string;
  /** At most 64 KiB of the body. */
  readonly body: string;
}

/** A dummy manifest that stands on a tag while it is removed: known before it is put, so that it is never served. */
export interface Dummy {
  readonly repository: string;
  readonly tag: string;
  readonly digest: Digest;
}

/**
 * The rows and what belongs to them. Every call that changes something resolves after it is on disk. Calls that come
 * together are committed together. `now` in milliseconds since the epoch is the caller's, so that tests have their own.
 */
export interface RowStore {
  /**
   * Inserts or re-marks rows: the generation grows, and a row that is not being worked on becomes `pending` (with the
   * more urgent of both priorities while it waits). On-demand and event marks forget earlier attempts; the others leave
   * a failed row's back-off as it is, and leave `unsupported` rows alone.
   */
  mark(marks: readonly Mark[], now: number): Promise<void>;
  /**
   * Takes up to `limit` due rows for `owner`: pending or failed ones whose time has come, and syncing ones whose lease
   * has run out; by priority, then by time. Held ones only once confirmed.
   */
  claim(owner: string, limit: number, now: number, leaseUntil: number): Promise<readonly Row[]>;
  /** Prolongs leases; answers the ids that are still the owner's. */
  renew(owner: string, ids: readonly number[], leaseUntil: number): Promise<readonly number[]>;
  /**
   * Ends a claim. A row that was marked again meanwhile becomes `pending`, whatever the outcome. Nothing happens when
   * the lease went to somebody else.
   */
  finish(owner: string, row: Row, outcome: Outcome, now: number): Promise<void>;
  /** When the next row is due, undefined for none. */
  nextDue(): Promise<number | undefined>;

  list(filter: RowFilter): Promise<readonly Row[]>;
  find(repository: string, reference: string): Promise<Row | undefined>;
  repositories(): Promise<readonly string[]>;
  counts(now: number): Promise<Counts>;
  /** Makes failed and unsupported rows (or all that match) due now, attempts forgotten; answers how many. */
  retry(filter: RowFilter, now: number): Promise<number>;
  /** Confirms held removals; answers how many. */
  confirmRemovals(filter: RowFilter, now: number): Promise<number>;
  /** Makes every row pending as of unknown state (another primary); answers how many. */
  markAllUnknown(now: number): Promise<number>;
  setVerified(id: number, now: number): Promise<void>;

  putBlob(record: BlobRecord): Promise<void>;
  /** Blobs last read before `before`, the oldest first. */
  blobsVerifiedBefore(before: number, limit: number): Promise<readonly BlobRecord[]>;
  findBlob(repository: string, digest: Digest): Promise<BlobRecord | undefined>;
  damagedBlobs(limit: number): Promise<readonly BlobRecord[]>;
  forgetBlob(repository: string, digest: Digest): Promise<void>;

  /** Keeps an event; beyond 1,000 the oldest go. */
  keepMalformed(event: MalformedEvent): Promise<void>;
  malformed(limit: number): Promise<readonly MalformedEvent[]>;

  addDummy(dummy: Dummy): Promise<void>;
  removeDummy(dummy: Dummy): Promise<void>;
  dummies(): Promise<readonly Dummy[]>;

  /** Small facts by name (the primary's URL, cursors, last runs), as JSON values. */
  getFact(name: string): Promise<unknown>;
  setFact(name: string, value: unknown): Promise<void>;

  close(): Promise<void>;
}

/** The database was written by a newer version of the program. */
export class NewerDatabase extends Error {}
