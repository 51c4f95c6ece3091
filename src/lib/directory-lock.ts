// A directory lock: one process at a time, whatever way the one before ended.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** The primary result code of SQLite (sqlite3.h): what another connection holds. */
const SQLITE_BUSY = 5;
// A database that nobody refers to is closed, and its lock gone.
const held = new Set<DatabaseSync>();

/**
 * Takes a directory, made where it is missing, for this process; gives the function that lets it go, undefined where
 * another process has it. Node has no file locks of its own: SQLite's are the kernel's, and end with the process that has
 * them, in whatever container it was. @throws what the file system says.
 */
export function lockDirectory(directory: string): (() => void) | undefined {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const lock = new DatabaseSync(join(directory, 'lock.db'), { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
  held.add(lock);
  return () => {
    if (held.delete(lock)) lock.close();
  };
}
