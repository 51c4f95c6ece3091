// Prepared statements, each compiled once per connection.
import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** Gives the prepared statement of an SQL text. */
export type Prepare = (sql: string) => StatementSync;

/** A {@link Prepare} that remembers what it compiled; the texts are few. */
export function createPrepare(database: DatabaseSync): Prepare {
  const statements = new Map<string, StatementSync>();
  return (sql) => {
    const known = statements.get(sql);
    if (known) return known;
    const prepared = database.prepare(sql);
    statements.set(sql, prepared);
    return prepared;
  };
}
