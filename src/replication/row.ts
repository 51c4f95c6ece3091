// A row: what is known of one tag, or one untagged manifest, of both registries.
import type { Digest } from '../oci/digest.ts';

/** `syncing` only while a worker holds the row's lease. `unsupported`: the secondary cannot hold it; not retried. */
export type RowState = 'pending' | 'syncing' | 'synced' | 'failed' | 'unsupported';

/** A row's state for people; `recheck`: it was synced, and is pending or syncing again without a failure since. */
export type ShownState = RowState | 'recheck';

/** Who asked, the most urgent first. */
export const PRIORITY = { onDemand: 0, event: 1, reconcile: 2, backfill: 3 } as const;

/** One of {@link PRIORITY}. */
export type RowPriority = (typeof PRIORITY)[keyof typeof PRIORITY];

/** The reference of a row that stands for a whole repository: to sync it is to mark all that the repository has. */
export const WHOLE_REPOSITORY = '*';

/** What a row may wait for in place of a reference: that any one of its repository is gone, or is another manifest. */
export const ANY_CHANGE = '*';

/** The longest wait of a row (ms). A longer one means that the clock was wrong: it is treated as due. */
export const PUT_OFF_MAX = 3_600_000;

/** One row; all times in milliseconds since the epoch. */
export interface Row {
  readonly id: number;
  readonly repository: string;
  /** A tag, the digest of a manifest without one, or {@link WHOLE_REPOSITORY}. */
  readonly reference: string;
  readonly state: RowState;
  readonly priority: RowPriority;
  /** Grows with each mark: work that began before the latest mark is done again. */
  readonly generation: number;
  /** Grows with each claim: the end of an earlier one changes nothing. */
  readonly claim: number;
  readonly attempts: number;
  readonly nextAttempt: number;
  /** At most 1,000 characters, for people. */
  readonly lastError?: string;
  readonly primaryDigest?: Digest;
  readonly localDigest?: Digest;
  /** When the oldest event arrived that is not worked off: its age is the lag. */
  readonly eventAt?: number;
  /** When the last event arrived, if it was a push. */
  readonly pushedAt?: number;
  readonly markedAt: number;
  readonly syncedAt?: number;
  readonly verifiedAt?: number;
  /** Bytes of blobs that were copied from the primary for it. */
  readonly bytes: number;
  /**
   * A removal that was held: it was beyond the limit, or removals are suspended. Until a person confirms it, or the row
   * is synced or gone, a worker that claims it may copy, but not remove.
   */
  readonly isHeld: boolean;
  /** A person has confirmed its removal; that is undone when it is held again. */
  readonly isConfirmed: boolean;
  /** A pending row is due when this is: a digest synced or gone, a tag another manifest or gone, or {@link ANY_CHANGE}. */
  readonly waitsFor?: string;
}

/** The state of a row for people. The store counts and filters by the same rule. */
export function shownStateOf({ state, syncedAt, lastError, isHeld }: Row): ShownState {
  const isAtWork = state === 'pending' || state === 'syncing';
  return isAtWork && syncedAt !== undefined && lastError === undefined && !isHeld ? 'recheck' : state;
}
