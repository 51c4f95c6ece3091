// The rows as a queue: everything that wants something replicated marks rows, and workers claim them.
import type { Digest } from '../oci/digest.ts';
import type { Row, RowPriority } from './row.ts';

/** A reference that is to be looked at again. */
export interface Mark {
  readonly repository: string;
  readonly reference: string;
  readonly priority: RowPriority;
  /** When the event arrived that the mark comes from. */
  readonly eventAt?: number;
  /** Whether that event was a push. */
  readonly isPush?: boolean;
}

/** How a claimed row's work ended. */
export type Outcome =
  /** The secondary answered with the primary's digest; `manifests`: it, and those that it points at. */
  | {
      readonly kind: 'synced';
      readonly digest: Digest;
      readonly bytes: number;
      readonly manifests?: readonly Digest[];
    }
  /** Neither registry has the reference: the row is deleted. `isRemoval` counts towards the limit. */
  | { readonly kind: 'gone'; readonly isRemoval: boolean }
  /** A removal is due, but the limit is reached, or removals are suspended. */
  | { readonly kind: 'held' }
  /** The secondary does not take `digest`, now or later. */
  | { readonly kind: 'unsupported'; readonly error: string; readonly digest?: Digest }
  /** It has to wait until another reference is synced or gone; it is due then, and at `nextAttempt` at the latest. */
  | {
      readonly kind: 'waiting';
      readonly error: string;
      /** As {@link Row.waitsFor}. */
      readonly waitsFor: string;
      readonly nextAttempt: number;
    }
  | { readonly kind: 'failed'; readonly error: string; readonly nextAttempt: number }
  /** Not tried (paused, shutting down): no attempt is counted. */
  | { readonly kind: 'released'; readonly nextAttempt: number };

/** Marks and claims. */
export interface RowQueue {
  /**
   * Inserts or re-marks rows: the generation grows, and a row that is not being worked on becomes `pending` (with the
   * more urgent of both priorities while it waits). On-demand and event marks forget earlier attempts; the others leave
   * a failed row failed with its back-off, and `unsupported` rows as they are. A held row may be claimed again. A wait
   * beyond {@link PUT_OFF_MAX} ends. Marks of one call are committed together: pass them by the page.
   */
  mark(marks: readonly Mark[], now: number): Promise<void>;
  /**
   * Takes up to `limit` due rows for `owner`: pending or failed ones whose time has come, and syncing ones whose lease
   * has run out; by priority, then by time. Held ones only once confirmed, or marked again: the reference may have been
   * pushed again.
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
}
