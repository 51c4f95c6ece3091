// The schema, one numbered step after the other; `PRAGMA user_version` holds the number of the last one taken.
import type { DatabaseSync } from 'node:sqlite';
import { NewerDatabase } from '../../rows.ts';

// Steps that were released are never changed: append.
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE rows (
    -- AUTOINCREMENT: the id of a row that is gone is never another's.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repository TEXT NOT NULL,
    reference TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'syncing', 'synced', 'failed', 'unsupported')),
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    generation INTEGER NOT NULL DEFAULT 1,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt INTEGER NOT NULL,
    last_error TEXT,
    primary_digest TEXT,
    local_digest TEXT,
    event_at INTEGER,
    marked_at INTEGER NOT NULL,
    synced_at INTEGER,
    verified_at INTEGER,
    bytes INTEGER NOT NULL DEFAULT 0,
    -- The generation at which its removal was held; a later mark makes the row due again, but not the removal.
    held_generation INTEGER,
    is_confirmed INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    lease_until INTEGER,
    -- From when on the row may be claimed; NULL: not at all.
    due INTEGER GENERATED ALWAYS AS (
      CASE state
        WHEN 'pending' THEN CASE WHEN held_generation = generation AND NOT is_confirmed THEN NULL ELSE next_attempt END
        WHEN 'failed' THEN next_attempt
        WHEN 'syncing' THEN lease_until
      END
    ) VIRTUAL,
    UNIQUE (repository, reference)
  ) STRICT;
  CREATE INDEX rows_due ON rows (priority, due) WHERE due IS NOT NULL;
  CREATE INDEX rows_state ON rows (state);
  CREATE INDEX rows_held ON rows (is_confirmed) WHERE held_generation IS NOT NULL;
  CREATE INDEX rows_event ON rows (event_at) WHERE event_at IS NOT NULL AND state <> 'unsupported';
  -- Holds all that the counts need, so that they need not read the rows.
  CREATE INDEX rows_counts ON rows (state, priority, bytes, verified_at);

  CREATE TABLE removals (at INTEGER NOT NULL) STRICT;
  CREATE INDEX removals_at ON removals (at);

  CREATE TABLE blobs (
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    verified_at INTEGER NOT NULL,
    is_damaged INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX blobs_verified ON blobs (verified_at);
  CREATE INDEX blobs_damaged ON blobs (repository, digest) WHERE is_damaged;

  CREATE TABLE malformed (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    body TEXT NOT NULL
  ) STRICT;

  CREATE TABLE dummies (
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (repository, tag, digest)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE places (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    repository TEXT NOT NULL,
    UNIQUE (digest, repository)
  ) STRICT;

  CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  `,
  `
  -- Holds all that is summed up by repository.
  CREATE INDEX rows_repository ON rows (repository, state, verified_at, synced_at);
  `,
  `
  -- Grows with each claim, so that the end of an earlier claim is told from that of the current one.
  ALTER TABLE rows ADD COLUMN claim INTEGER NOT NULL DEFAULT 0;
  `,
  `
  ALTER TABLE rows ADD COLUMN pushed_at INTEGER;
  -- What a pending row is due again with: a digest of its repository, or *. NULL: nothing but its time.
  ALTER TABLE rows ADD COLUMN waits_for TEXT;
  CREATE INDEX rows_waiting ON rows (repository, waits_for) WHERE waits_for IS NOT NULL;
  DROP INDEX rows_event;
  CREATE INDEX rows_event ON rows (event_at)
    WHERE event_at IS NOT NULL AND state <> 'unsupported' AND waits_for IS NULL;
  `,
  `
  -- The last error without digests and names, by which rows that fail for one reason are grouped.
  ALTER TABLE rows ADD COLUMN cause TEXT;
  UPDATE rows SET cause = last_error WHERE last_error IS NOT NULL;
  CREATE INDEX rows_cause ON rows (cause, state) WHERE last_error IS NOT NULL;
  -- The state for people.
  ALTER TABLE rows ADD COLUMN shown_state TEXT GENERATED ALWAYS AS (
    CASE
      WHEN state IN ('pending', 'syncing') AND synced_at IS NOT NULL AND last_error IS NULL AND held_generation IS NULL
      THEN 'recheck'
      ELSE state
    END
  ) VIRTUAL;
  DROP INDEX rows_counts;
  CREATE INDEX rows_counts ON rows (state, priority, shown_state, bytes, verified_at);
  DROP INDEX rows_repository;
  CREATE INDEX rows_repository ON rows (repository, state, shown_state, verified_at, synced_at);
  `,
];

function versionOf(database: DatabaseSync): number {
  return Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
}

/** Refuses a database that a newer program has written. @throws NewerDatabase */
export function checkVersion(database: DatabaseSync, file: string, migrations = MIGRATIONS): void {
  const found = versionOf(database);
  if (found <= migrations.length) return;
  throw new NewerDatabase(
    `${file} has version ${found}, this program knows ${migrations.length} at most: run the newer program again, or set GEO_DATA_DIR to another directory`,
  );
}

/** Takes the steps that are missing, all or none. */
export function migrate(database: DatabaseSync, file: string, migrations = MIGRATIONS): void {
  if (versionOf(database) === migrations.length) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    // Another process may have been first, and may be a newer one.
    checkVersion(database, file, migrations);
    for (const step of migrations.slice(versionOf(database))) database.exec(step);
    database.exec(`PRAGMA user_version = ${migrations.length}`);
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}
