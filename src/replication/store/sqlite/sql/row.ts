// A row as SQLite gives it.
import type { Row } from '../../../row.ts';

/** A record of a result: column names to values. */
export type Columns = Record<string, unknown>;

// Fields that are left out where the column is NULL.
const OPTIONAL = {
  last_error: 'lastError',
  primary_digest: 'primaryDigest',
  local_digest: 'localDigest',
  event_at: 'eventAt',
  pushed_at: 'pushedAt',
  synced_at: 'syncedAt',
  verified_at: 'verifiedAt',
  waits_for: 'waitsFor',
} as const;

/** The row of a record that has all columns. */
export function rowOf(columns: Columns): Row {
  const row: Columns = {
    id: columns['id'],
    repository: columns['repository'],
    reference: columns['reference'],
    state: columns['state'],
    priority: columns['priority'],
    generation: columns['generation'],
    claim: columns['claim'],
    attempts: columns['attempts'],
    nextAttempt: columns['next_attempt'],
    markedAt: columns['marked_at'],
    bytes: columns['bytes'],
    isHeld: columns['held_generation'] !== null,
    isConfirmed: columns['is_confirmed'] === 1,
  };
  for (const [column, field] of Object.entries(OPTIONAL)) {
    if ((columns[column] ?? null) !== null) row[field] = columns[column];
  }
  return row as unknown as Row;
}
