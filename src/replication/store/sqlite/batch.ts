// Batches of calls on one connection: writes in one transaction, so that one commit serves them all.
import type { DatabaseSync } from 'node:sqlite';
import { failureOf, isDatabaseFault, type Failure } from './failure.ts';

/** Calls of one batch at the most: bounds how long it takes, and so how long a call waits for the one before. */
export const BATCH_MAX = 500;

/** A call of one of the store's operations, as it is sent to the database's thread. */
export interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
}

/** What a call gave. */
export type Result = { readonly value: unknown } | { readonly failure: Failure };

/** Carries out one call. */
export type Run = (call: Call) => unknown;

function writeOne(database: DatabaseSync, run: Run, call: Call): Result {
  database.exec('SAVEPOINT one');
  try {
    const value = run(call);
    database.exec('RELEASE one');
    return { value };
  } catch (error) {
    // A database that fails may have rolled back the whole transaction: none of its calls counts as done.
    if (isDatabaseFault(error) || !database.isTransaction) throw error;
    database.exec('ROLLBACK TO one; RELEASE one');
    return { failure: failureOf(error) };
  }
}

/** Commits the calls together. A call that is wrong itself fails alone; when the database fails, all calls do. */
export function writeTogether(database: DatabaseSync, run: Run, calls: readonly Call[]): readonly Result[] {
  try {
    database.exec('BEGIN IMMEDIATE');
    const results = calls.map((call) => writeOne(database, run, call));
    database.exec('COMMIT');
    return results;
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    return calls.map(() => ({ failure: failureOf(error) }));
  }
}

/** Answers the calls one by one, each a read transaction of its own. */
export function readEach(run: Run, calls: readonly Call[]): readonly Result[] {
  return calls.map((call) => {
    try {
      return { value: run(call) };
    } catch (error) {
      return { failure: failureOf(error) };
    }
  });
}
