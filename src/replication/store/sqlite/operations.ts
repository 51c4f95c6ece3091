// The store's operations by name, each one function over prepared statements, as the database's threads run them.
import type { RowStore } from '../../rows.ts';
import { blobsVerifiedBefore, damagedBlobs, findBlob, forgetBlob, putBlob } from './sql/blobs.ts';
import { causes } from './sql/causes.ts';
import { claim } from './sql/claim.ts';
import { confirmRemovals } from './sql/confirm-removals.ts';
import { counts } from './sql/counts.ts';
import { addDummy, dummies, removeDummy } from './sql/dummies.ts';
import { endLongWaits } from './sql/end-long-waits.ts';
import { getFact, setFact } from './sql/facts.ts';
import { finish } from './sql/finish.ts';
import { find, list, repositories } from './sql/list.ts';
import { groups } from './sql/groups.ts';
import { keepMalformed, malformed } from './sql/malformed.ts';
import { markAllUnknown } from './sql/mark-all-unknown.ts';
import { mark } from './sql/mark.ts';
import { nextDue } from './sql/next-due.ts';
import { addBlobLocations, blobLocations } from './sql/blob-locations.ts';
import { renew } from './sql/renew.ts';
import { checksum, countRepositories, repositoryCounts, repositorySummaries } from './sql/repositories.ts';
import { retry } from './sql/retry.ts';
import { setVerified } from './sql/set-verified.ts';
import type { Prepare } from './statements.ts';

type Plain<Name extends keyof RowStore> = (
  prepare: Prepare,
  ...args: Parameters<RowStore[Name]>
) => Awaited<ReturnType<RowStore[Name]>>;

/** What changes the database and is the same in the contract. */
export const WRITES = {
  mark,
  claim,
  renew,
  finish,
  setVerified,
  putBlob,
  forgetBlob,
  addBlobLocations,
  keepMalformed,
  addDummy,
  removeDummy,
} satisfies { [Name in keyof RowStore]?: Plain<Name> };

/** What changes many rows, a page of them at a time: each answers the ids of the rows it changed. */
export const PAGED_WRITES = { retry, endLongWaits, confirmRemovals, markAllUnknown };

/** What only reads. */
export const READS = {
  nextDue,
  list,
  find,
  repositories,
  counts,
  repositorySummaries,
  repositoryCounts,
  countRepositories,
  groups,
  causes,
  checksum,
  blobsVerifiedBefore,
  findBlob,
  damagedBlobs,
  blobLocations,
  malformed,
  dummies,
} satisfies { [Name in keyof RowStore]?: Plain<Name> };

/** Facts go over as JSON texts. */
export const FACT_WRITES = { setFact };
/** @see FACT_WRITES */
export const FACT_READS = { getFact };
