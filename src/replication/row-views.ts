// The rows as people look at them: lists, counts and sums.
import type { PRIORITY, Row, RowState, ShownState } from './row.ts';

/** Rows that meet all of the conditions given, in the order of their ids. */
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
  /** Without unsupported and waiting rows, whose lag would grow for ever. */
  readonly oldestEventAt?: number;
  readonly bytes: number;
  readonly verified: number;
  readonly damagedBlobs: number;
  /** Those that are kept. */
  readonly malformedEvents: number;
  readonly removalsLastDay: number;
}

/** The rows of one repository, summed up. */
export interface RepositorySummary {
  readonly repository: string;
  /** All its rows, tags or not. */
  readonly states: Readonly<Record<ShownState, number>>;
  /** Tags among them. */
  readonly tags: number;
  /** Synced rows whose blobs were read. */
  readonly verified: number;
  /** When one of its rows was last synced, in milliseconds since the epoch. */
  readonly syncedAt?: number;
}

/** Repositories that meet all of the conditions given. */
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

/** How many repositories have rows, by their state; one that waits, or has unsupported rows, counts as known only. */
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
  /** Synced or damaged. */
  readonly verifiable: number;
}

/** Reads rows. */
export interface RowViews {
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
}
