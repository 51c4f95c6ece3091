// Ending claims. Each statement touches the row only while it is under that very claim, and leaves a row that was marked
// again meanwhile `pending` and due.
import type { Outcome, Row } from '../../../rows.ts';
import { clipError, REMOVAL_WINDOW } from '../../limits.ts';
import type { Prepare } from '../statements.ts';

const IS_CURRENT = 'generation = :generation';
const IS_OURS = 'id = :id AND owner = :owner AND claim = :claim';

/** `SET` of a state and of when the row is due, for the generation that was worked on; and the end of the lease. */
function ended(state: string, nextAttempt = ':now'): string {
  return `
    state = CASE WHEN ${IS_CURRENT} THEN '${state}' ELSE 'pending' END,
    next_attempt = CASE WHEN ${IS_CURRENT} THEN ${nextAttempt} ELSE :now END,
    owner = NULL, lease_until = NULL`;
}

const SYNCED = `
  UPDATE rows SET ${ended('synced')},
    attempts = 0, last_error = NULL, synced_at = :now, bytes = bytes + :bytes,
    event_at = CASE WHEN ${IS_CURRENT} THEN NULL ELSE event_at END,
    verified_at = CASE WHEN local_digest = :digest THEN verified_at END,
    primary_digest = :digest, local_digest = :digest,
    held_generation = NULL, is_confirmed = 0
  WHERE ${IS_OURS}`;

const GONE = `DELETE FROM rows WHERE ${IS_OURS} AND ${IS_CURRENT}`;

const GONE_AND_MARKED = `
  UPDATE rows SET ${ended('pending')},
    attempts = 0, last_error = NULL, primary_digest = NULL, local_digest = NULL, synced_at = NULL, verified_at = NULL,
    held_generation = NULL, is_confirmed = 0
  WHERE ${IS_OURS}`;

// A confirmation that came while the row was worked on still counts; the one that was worked on is used up.
const HELD = `
  UPDATE rows SET ${ended('pending')},
    attempts = 0, last_error = NULL, held_generation = :generation,
    is_confirmed = CASE WHEN :wasConfirmed THEN 0 ELSE is_confirmed END
  WHERE ${IS_OURS}`;

const UNSUPPORTED = `UPDATE rows SET ${ended('unsupported')}, last_error = :error WHERE ${IS_OURS}`;

const FAILED = `
  UPDATE rows SET ${ended('failed', ':nextAttempt')}, last_error = :error, attempts = attempts + (${IS_CURRENT})
  WHERE ${IS_OURS}`;

const RELEASED = `UPDATE rows SET ${ended('pending', ':nextAttempt')} WHERE ${IS_OURS}`;

const FORGET_REMOVALS = 'DELETE FROM removals WHERE at <= :before';
const ADD_REMOVAL = 'INSERT INTO removals (at) VALUES (:now)';

interface Ending {
  readonly id: number;
  readonly owner: string;
  readonly generation: number;
  readonly claim: number;
  readonly now: number;
}

function finishGone(prepare: Prepare, ending: Ending, isRemoval: boolean): void {
  const { now, ...which } = ending;
  const { changes } = prepare(GONE).run({ ...which });
  if (changes === 0 && prepare(GONE_AND_MARKED).run({ ...ending }).changes === 0) return;
  if (!isRemoval) return;
  prepare(FORGET_REMOVALS).run({ before: now - REMOVAL_WINDOW });
  prepare(ADD_REMOVAL).run({ now });
}

/** A jittered time need not be whole; the column is. @see RowStore.finish */
export function finish(prepare: Prepare, owner: string, row: Row, outcome: Outcome, now: number): void {
  const ending: Ending = { id: row.id, owner, generation: row.generation, claim: row.claim, now };
  switch (outcome.kind) {
    case 'synced':
      prepare(SYNCED).run({ ...ending, digest: outcome.digest, bytes: outcome.bytes });
      return;
    case 'gone':
      finishGone(prepare, ending, outcome.isRemoval);
      return;
    case 'held':
      prepare(HELD).run({ ...ending, wasConfirmed: Number(row.isConfirmed) });
      return;
    case 'unsupported':
      prepare(UNSUPPORTED).run({ ...ending, error: clipError(outcome.error) });
      return;
    case 'failed':
      prepare(FAILED).run({ ...ending, error: clipError(outcome.error), nextAttempt: Math.ceil(outcome.nextAttempt) });
      return;
    case 'released':
      prepare(RELEASED).run({ ...ending, nextAttempt: Math.ceil(outcome.nextAttempt) });
  }
}
