// The row store: rows and what is stored beside them. Every store keeps this contract (SQLite, and one day PostgreSQL).
import type { BlobRecords, DummyRecords, EventRecords, Facts } from './records.ts';
import type { Row } from './row.ts';
import type { RowQueue } from './row-queue.ts';
import type { RowFilter, RowViews } from './row-views.ts';

/**
 * Every call that changes something resolves after it is on disk. Calls that come together are committed together. `now`,
 * in milliseconds since the epoch, is the caller's. Every call may reject with {@link StoreUnavailable}.
 */
export interface RowStore extends RowQueue, RowViews, BlobRecords, EventRecords, DummyRecords, Facts {
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
  /** Notes that the blobs of `row.localDigest` were read, unless the secondary has another digest by now. */
  setVerified(row: Row, now: number): Promise<void>;
  /** Resolves when the calls made before it are done; later ones are rejected. */
  close(): Promise<void>;
}

/** The database was written by a newer version of the program. */
export class NewerDatabase extends Error {}

/** The database cannot be used now (disk full, I/O error, locked): what was asked may be asked again. */
export class StoreUnavailable extends Error {}
