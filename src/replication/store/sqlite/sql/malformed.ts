// Events that could not be understood.
import type { MalformedEvent } from '../../../records.ts';
import { clipBody, clipError, MALFORMED_MAX } from '../../limits.ts';
import type { Prepare } from '../statements.ts';

const KEEP = 'INSERT INTO malformed (at, reason, body) VALUES (:at, :reason, :body)';

const TRIM = `
  DELETE FROM malformed WHERE id <= (SELECT id FROM malformed ORDER BY id DESC LIMIT 1 OFFSET ${MALFORMED_MAX})`;

/** @see RowStore.keepMalformed */
export function keepMalformed(prepare: Prepare, { at, reason, body }: MalformedEvent): void {
  prepare(KEEP).run({ at, reason: clipError(reason), body: clipBody(body) });
  prepare(TRIM).run();
}

/** @see RowStore.malformed */
export function malformed(prepare: Prepare, limit: number): readonly MalformedEvent[] {
  const events = prepare('SELECT at, reason, body FROM malformed ORDER BY id DESC LIMIT ?').all(limit);
  return events.map(({ at, reason, body }) => ({ at: Number(at), reason: String(reason), body: String(body) }));
}
