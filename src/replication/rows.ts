// Rows: what is known of each tag and each untagged manifest, here and at the primary. Whatever wants something
// replicated only marks rows; workers claim them. Every store (SQLite, and one day PostgreSQL) keeps this contract.
import type { Digest } from '../oci/digest.ts';

/** `syncing` only while a worker holds the row's lease. `unsupported`: the secondary cannot hold it; not retried. */
export type RowState = 'pending' | 'syncing' | 'synced' | 'failed' | 'unsupported';

/**
 * A row's state for people: `recheck` is one that was synced, and is pending or syncing again without a failure since.
 * It is none of the other states.
 */
export type ShownState = RowState | 'recheck';

/** Who asked, the most urgent first. */
export const PRIORITY = { onDemand: 0, event: 1, reconcile: 2, backfill: 3 } as const;

/** One of {@link PRIORITY}. */
export type RowPriority = (typeof PRIORITY)[keyof typeof PRIORITY];

/**
 * Stands for the whole of a repository in place of a reference; no tag may be named so. Whoever works on such a row
 * marks all that the repository has, at the primary or here.
 */
export const WHOLE_REPOSITORY = '*';

/** What a row may wait for in place of a reference: that any of its repository is gone, or is another manifest than before. */
export const ANY_CHANGE = '*';

/**
 * No row is put off for longer (ms). What would wait longer was put off while the clock was far ahead, and waits for
 * nothing.
 */
export const PUT_OFF_MAX = 3_600_000;

/** One row; all times in milliseconds since the epoch. */
export interface Row {
  readonly id: number;
  readonly repository: string;
  /** A tag, the digest of a manifest that has to be here without one, or {@link WHOLE_REPOSITORY}. */
  readonly reference: string;
  readonly state: RowState;
  readonly priority: RowPriority;
  /** Grows with each mark: work that began at an older one is done again. */
  readonly generation: number;
  /** Grows with each claim: the end of an earlier one changes nothing. */
  readonly claim: number;
  readonly attempts: number;
  readonly nextAttempt: number;
  /** At most 1,000 characters, for people. */
  readonly lastError?: string;
  readonly primaryDigest?: Digest;
  readonly localDigest?: Digest;
  /** When the oldest event arrived that this row has not caught up with: its age is the lag. */
  readonly eventAt?: number;
  /** When the last event arrived, where that told of a push. */
  readonly pushedAt?: number;
  readonly markedAt: number;
  readonly syncedAt?: number;
  readonly verifiedAt?: number;
  /** Body bytes that its copies brought over. */
  readonly bytes: number;
  /**
   * A removal that was held, since more were due than the limit allows, or removals are suspended. It stays so until the row is synced or gone:
   * whoever claims it again before a person has confirmed may copy, but not remove.
   */
  readonly isHeld: boolean;
  /** A person has confirmed its removal; being held once more uses that up. */
  readonly isConfirmed: boolean;
  /**
   * What a pending row is due again with: a digest of its repository that is synced or gone, a tag that is another
   * manifest or gone, or {@link ANY_CHANGE}.
   */
  readonly waitsFor?: string;
}

/** The state of a row for people; the store counts and filters by the same rule. */
export function shownStateOf({ state, syncedAt, lastError, isHeld }: Row): ShownState {
  const isAtWork = state === 'pending' || state === 'syncing';
  return isAtWork && syncedAt !== undefined && lastError === undefined && !isHeld ? 'recheck' : state;
}

/** A wish that a reference be looked at again. */
export interface Mark {
  readonly repository: string;
  readonly reference: string;
  readonly priority: RowPriority;
  /** When the event arrived that the mark comes from. */
  readonly eventAt?: number;
  /** Whether that event told of a push. */
  readonly isPush?: boolean;
}

/** How a claimed row's work ended. */
export type Outcome =
  /** The secondary answered with the primary's digest; `manifests` are those that it points at, and itself. */
  | {
      readonly kind: 'synced';
      readonly digest: Digest;
      readonly bytes: number;
      readonly manifests?: readonly Digest[];
    }
  /** The reference is on neither side any more: the row goes. `isRemoval` counts towards the limit. */
  | { readonly kind: 'gone'; readonly isRemoval: boolean }
  /** A removal is due, but the limit is reached, or removals are suspended. */
  | { readonly kind: 'held' }
  /** The secondary does not take `digest`, now or later. */
  | { readonly kind: 'unsupported'; readonly error: string; readonly digest?: Digest }
  /** It cannot be done before something else is here, or gone; it is due then, and at `nextAttempt` at the latest. */
  | {
      readonly kind: 'waiting';
      readonly error: string;
      /** A tag or a digest of the repository, or {@link ANY_CHANGE}. */
      readonly waitsFor: string;
      readonly nextAttempt: number;
    }
  | { readonly kind: 'failed'; readonly error: string; readonly nextAttempt: number }
  /** Not tried (paused, shutting down): no attempt is burned. */
  | { readonly kind: 'released'; readonly nextAttempt: number };

/** Which rows; all of the conditions that are given, by id. */
export interface RowFilter {
  readonly states?: readonly RowState[];
  readonly shownStates?: readonly ShownState[];
  readonly isHeld?: boolean;
  /** Whether it waits for another reference. */
  readonly isWaiting?: boolean;
  readonly repository?: string;
  readonly reference?: string;
  /** A part of the reference. */
  readonly search?: string;
  /** Rows whose last error has this cause. */
  readonly cause?: string;
  /** Rows after this id, for paging. */
  readonly after?: number;
  readonly limit?: number;
}

/** Counts for the status; times in milliseconds since the epoch. */
export interface Counts {
  readonly states: Readonly<Record<RowState, number>>;
  readonly shownStates: Readonly<Record<ShownState, number>>;
  /** Removals that are held and not confirmed. */
  readonly held: number;
  /** Pending rows that wait for another reference. */
  readonly waiting: number;
  /** Pending rows by priority, in the order of {@link PRIORITY}. */
  readonly queue: Readonly<Record<keyof typeof PRIORITY, number>>;
  /** Of the rows that can still catch up: one that is unsupported, or waits, would make the lag grow for ever. */
  readonly oldestEventAt?: number;
  readonly bytes: number;
  readonly verified: number;
  readonly damagedBlobs: number;
  /** Those that are kept. */
  readonly malformedEvents: number;
  readonly removalsLastDay: number;
}

/** What the rows of one repository come to. */
export interface RepositorySummary {
  readonly repository: string;
  /** All its rows, tags or not. */
  readonly states: Readonly<Record<ShownState, number>>;
  /** Tags among them. */
  readonly tags: number;
  /** Synced rows whose blobs were read. */
  readonly verified: number;
  /** When one of its rows was last found the same on both sides, in milliseconds since the epoch. */
  readonly syncedAt?: number;
}

/** Which repositories; all of the conditions that are given. */
export interface RepositoryConditions {
  /** Only this one. */
  readonly repository?: string;
  /** This one and all below it. */
  readonly group?: string;
  /** A part of the name. */
  readonly search?: string;
  /** A state that at least one of its rows has. */
  readonly state?: ShownState;
  /** Whether one of its rows is failed. */
  readonly isFailed?: boolean;
}

/** By name; by failed or pending rows, most first; or by when one of its rows was last synced, the latest first. */
export type RepositorySort = 'name' | 'failed' | 'pending' | 'syncedAt';

/** A page of repositories. */
export interface RepositoryQuery extends RepositoryConditions {
  readonly sort?: RepositorySort;
  /** Sorted by name: repositories after this one, in the order of their bytes. */
  readonly after?: string;
  /** Sorted otherwise: so many are left out. */
  readonly offset?: number;
  readonly limit: number;
}

/** Groups or repositories of one level, and all rows below them by state. */
export interface GroupSummary {
  readonly path: string;
  readonly isRepository: boolean;
  readonly hasChildren: boolean;
  readonly states: Readonly<Record<ShownState, number>>;
}

/** Rows that are not synced for one cause, and how many of them the secondary cannot hold. */
export interface CauseCount {
  /** The error without the digests and names in which the rows differ. */
  readonly cause: string;
  readonly rows: number;
  readonly unsupported: number;
}

/** How many repositories have rows, and how those do; one that waits, or has unsupported rows, is in none of the others. */
export interface RepositoryCounts {
  readonly known: number;
  /** All of their rows are synced. */
  readonly synced: number;
  /** At least one of their rows is failed. */
  readonly failed: number;
  /** Synced ones of which every row's blobs were read, and none is damaged. */
  readonly verified: number;
  /** A blob was found damaged, and is not whole again. */
  readonly damaged: number;
  /** Synced or damaged: those that verification can say something of. */
  readonly verifiable: number;
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
 * Every call may reject with {@link StoreUnavailable}.
 */
export interface RowStore {
  /**
   * Inserts or re-marks rows: the generation grows, and a row that is not being worked on becomes `pending` (with the
   * more urgent of both priorities while it waits). On-demand and event marks forget earlier attempts; the others leave
   * a failed row failed with its back-off as it is, and leave `unsupported` rows alone. A held row may be claimed again.
   * What is put off beyond {@link PUT_OFF_MAX} is due.
   * Pass marks by the page, not by the site: those of one call are committed together.
   */
  mark(marks: readonly Mark[], now: number): Promise<void>;
  /**
   * Takes up to `limit` due rows for `owner`: pending or failed ones whose time has come, and syncing ones whose lease
   * has run out; by priority, then by time. Held ones only once confirmed or marked again: what was removed and then
   * pushed again must not wait for a person.
   */
  claim(owner: string, limit: number, now: number, leaseUntil: number): Promise<readonly Row[]>;
  /** Prolongs leases, whichever claim of the owner's they belong to; answers the ids that are still the owner's. */
  renew(owner: string, ids: readonly number[], leaseUntil: number): Promise<readonly number[]>;
  /**
   * Ends the claim that `row` was got by. A row that was marked again meanwhile becomes `pending`, whatever the outcome.
   * Nothing happens when the row was claimed again since, by this owner or another. Rows that waited for this outcome
   * are due. Answers whether the claim was still the row's.
   */
  finish(owner: string, row: Row, outcome: Outcome, now: number): Promise<boolean>;
  /** When the next row is due or its lease runs out, undefined for none. */
  nextDue(): Promise<number | undefined>;

  list(filter: RowFilter): Promise<readonly Row[]>;
  find(repository: string, reference: string): Promise<Row | undefined>;
  repositories(): Promise<readonly string[]>;
  counts(now: number): Promise<Counts>;
  repositorySummaries(query: RepositoryQuery): Promise<readonly RepositorySummary[]>;
  repositoryCounts(): Promise<RepositoryCounts>;
  /** How many repositories match. */
  countRepositories(conditions: RepositoryConditions): Promise<number>;
  /** The level below `parent` ('' for the top), by name, those after the path `after`. */
  groups(parent: string, limit: number, after?: string): Promise<readonly GroupSummary[]>;
  /** The causes of most rows first. */
  causes(limit: number): Promise<readonly CauseCount[]>;
  /**
   * What {@link repositoryChecksum} gives for a repository; undefined unless every tag that is known of it is synced:
   * before that it cannot be the primary's.
   */
  checksum(repository: string): Promise<string | undefined>;
  /**
   * Makes failed and unsupported rows (or those in the states given) due now, attempts forgotten; unless states are given
   * also what waits for another reference or is put off beyond {@link PUT_OFF_MAX}. Answers how many.
   */
  retry(filter: RowFilter, now: number): Promise<number>;
  /** Makes what is put off, or leased, beyond {@link PUT_OFF_MAX} due now; answers how many. */
  endLongWaits(now: number): Promise<number>;
  /** Confirms held removals; answers how many. */
  confirmRemovals(filter: RowFilter, now: number): Promise<number>;
  /**
   * Makes every row pending as of unknown state (another primary), also those that are being worked on: their leases
   * end, confirmations too. Answers how many.
   */
  markAllUnknown(now: number): Promise<number>;
  /** Notes that the blobs of `row.localDigest` were read. Nothing happens when another digest is here by now. */
  setVerified(row: Row, now: number): Promise<void>;

  putBlob(record: BlobRecord): Promise<void>;
  /** Blobs last read before `before`, the oldest first. */
  blobsVerifiedBefore(before: number, limit: number): Promise<readonly BlobRecord[]>;
  findBlob(repository: string, digest: Digest): Promise<BlobRecord | undefined>;
  damagedBlobs(limit: number): Promise<readonly BlobRecord[]>;
  forgetBlob(repository: string, digest: Digest): Promise<void>;

  /** Notes that blobs are, or are about to be, in a repository of the secondary; of each the latest 16 are kept. */
  addPlaces(repository: string, digests: readonly Digest[]): Promise<void>;
  /** Repositories of the secondary in which a blob may be, in the order of their notes. */
  placesOf(digest: Digest): Promise<readonly string[]>;

  /** Keeps an event; beyond 1,000 the oldest go. */
  keepMalformed(event: MalformedEvent): Promise<void>;
  /** The newest first. */
  malformed(limit: number): Promise<readonly MalformedEvent[]>;

  addDummy(dummy: Dummy): Promise<void>;
  removeDummy(dummy: Dummy): Promise<void>;
  dummies(): Promise<readonly Dummy[]>;

  /** Small facts by name (the primary's URL, cursors, last runs), as JSON values. */
  getFact(name: string): Promise<unknown>;
  setFact(name: string, value: unknown): Promise<void>;

  /** Resolves when the calls made before it are done; later ones are rejected. */
  close(): Promise<void>;
}

/** The database was written by a newer version of the program. */
export class NewerDatabase extends Error {}

/** The database cannot be used now (disk full, I/O error, locked): what was asked may be asked again. */
export class StoreUnavailable extends Error {}
