// Opening the database: the file and its folder for this user alone, durable commits, a bounded journal.
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { NewerDatabase, StoreUnavailable } from '../../rows.ts';
import { checkVersion, migrate } from './migrations.ts';

// How long a statement waits for another process's transaction, in milliseconds.
const BUSY_TIMEOUT = 5_000;

function openWritable(file: string): DatabaseSync {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  // SQLite would create it for all to read; the files beside it take over its mode.
  closeSync(openSync(file, 'a', 0o600));
  const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT });
  try {
    checkVersion(database, file);
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA journal_size_limit = 16777216;
      PRAGMA cache_size = -16384;
    `);
    migrate(database, file);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function openReadable(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT, readOnly: true });
  database.exec('PRAGMA cache_size = -16384');
  return database;
}

/**
 * Opens the database, which is created and migrated unless only read.
 * @throws NewerDatabase
 * @throws StoreUnavailable when it cannot be opened.
 */
export function openDatabase(file: string, { isReader }: { readonly isReader: boolean }): DatabaseSync {
  try {
    return isReader ? openReadable(file) : openWritable(file);
  } catch (error) {
    if (error instanceof NewerDatabase) throw error;
    throw new StoreUnavailable(`${file} cannot be opened: ${(error as Error).message}`, { cause: error });
  }
}
