// SQLite stores in temporary folders.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createSqliteStore, type SqliteStore, type SqliteStoreOptions } from '../../../src/replication/store/sqlite.ts';
import { silent } from './silent.ts';

/** Where a database may be; goes with the test. */
export function temporaryFile(): string {
  const directory = mkdtempSync(join(tmpdir(), 'geo-rows-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return join(directory, 'rows.db');
}

/** A store that is closed with the test. */
export async function openSqlite(file: string, options?: SqliteStoreOptions): Promise<SqliteStore> {
  const store = await createSqliteStore({ file, log: silent }, options);
  onTestFinished(() => store.close());
  return store;
}
