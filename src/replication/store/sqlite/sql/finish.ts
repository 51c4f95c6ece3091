// Ending claims. Each statement touches the row only while it is under that very claim, and leaves a row that was marked
// again meanwhile `pending` and due.
import type { SQLInputValue } from 'node:sqlite';
import { isDigest } from '../../../../oci/digest.ts';
import type { Outcome } from '../../../row-queue.ts';
import { ANY_CHANGE, type Row } from '../../../row.ts';
import { causeOf } from '../../../cause.ts';
import { clipError, REMOVAL_WINDOW } from '../../limits.ts';
import type { Prepare } from '../statements.ts';

const IS_CURRENT = 'generation = :generation';
const IS_OURS = 'id = :id AND owner = :owner AND claim = :claim';

/** `SET` of a state and of when the row is due, for the generation that was worked on; and the end of the lease. */
function ended(state: string, nextAttempt = ':now', waitsFor = 'NULL'): string {
  return `
    state = CASE WHEN ${IS_CURRENT} THEN '${state}' ELSE 'pending' END,
    next_attempt = CASE WHEN ${IS_CURRENT} THEN ${nextAttempt} ELSE :now END,
    waits_for = CASE WHEN ${IS_CURRENT} THEN ${waitsFor} END, owner = NULL, lease_until = NULL`;
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

const UNSUPPORTED = `
  UPDATE rows SET ${ended('unsupported')}, last_error = :error, cause = :cause, primary_digest = COALESCE(:digest, primary_digest)
  WHERE ${IS_OURS}`;

const WAITING = `
  UPDATE rows SET ${ended('pending', ':nextAttempt', ':waitsFor')}, last_error = :error, cause = :cause
  WHERE ${IS_OURS}`;

const WAKE = `
  UPDATE rows SET next_attempt = :now, waits_for = NULL
  WHERE repository = :repository AND waits_for IN (SELECT value FROM json_each(:things))`;

const FAILED = `
  UPDATE rows SET ${ended('failed', ':nextAttempt')}, last_error = :error, cause = :cause, attempts = attempts + (${IS_CURRENT})
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

function finishGone(prepare: Prepare, ending: Ending, isRemoval: boolean): boolean {
  const { now, ...which } = ending;
  const { changes } = prepare(GONE).run({ ...which });
  if (changes === 0 && prepare(GONE_AND_MARKED).run({ ...ending }).changes === 0) return false;
  if (!isRemoval) return true;
  prepare(FORGET_REMOVALS).run({ before: now - REMOVAL_WINDOW });
  prepare(ADD_REMOVAL).run({ now });
  return true;
}

/** Makes those due that waited for one of these. */
function wake(prepare: Prepare, repository: string, things: readonly string[], now: number): void {
  prepare(WAKE).run({ repository, things: JSON.stringify(things), now });
}

/** What others may have waited for. */
function thingsOf({ reference, localDigest }: Row, outcome: Outcome): readonly string[] {
  if (outcome.kind === 'gone') return [reference, ANY_CHANGE];
  if (outcome.kind !== 'synced') return [];
  const { digest, manifests = [] } = outcome;
  // Who waits for a tag waits for it to be another manifest: of the same one it would be waiting again at once.
  const isSame = localDigest === digest && !isDigest(reference);
  const hasMoved = localDigest !== undefined && localDigest !== digest;
  return [...(isSame ? [] : [reference]), digest, ...manifests, ...(hasMoved ? [ANY_CHANGE] : [])];
}

function errorValues({ error }: { readonly error: string }): { error: string; cause: string } {
  const clipped = clipError(error);
  return { error: clipped, cause: causeOf(clipped) };
}

/** A jittered time need not be whole; the column is. */
function write(prepare: Prepare, ending: Ending, row: Row, outcome: Outcome): boolean {
  const run = (sql: string, values: Record<string, SQLInputValue> = {}): boolean =>
    prepare(sql).run({ ...ending, ...values }).changes !== 0;
  switch (outcome.kind) {
    case 'synced':
      return run(SYNCED, { digest: outcome.digest, bytes: outcome.bytes });
    case 'gone':
      return finishGone(prepare, ending, outcome.isRemoval);
    case 'held':
      return run(HELD, { wasConfirmed: Number(row.isConfirmed) });
    case 'unsupported':
      return run(UNSUPPORTED, { ...errorValues(outcome), digest: outcome.digest ?? null });
    case 'waiting': {
      const { waitsFor, nextAttempt } = outcome;
      return run(WAITING, { ...errorValues(outcome), waitsFor, nextAttempt: Math.ceil(nextAttempt) });
    }
    case 'failed':
      return run(FAILED, { ...errorValues(outcome), nextAttempt: Math.ceil(outcome.nextAttempt) });
    case 'released':
      return run(RELEASED, { nextAttempt: Math.ceil(outcome.nextAttempt) });
  }
}

/** @see RowStore.finish */
export function finish(prepare: Prepare, owner: string, row: Row, outcome: Outcome, now: number): boolean {
  const { id, generation, claim, repository } = row;
  const isOurs = write(prepare, { id, owner, generation, claim, now }, row, outcome);
  const things = isOurs ? thingsOf(row, outcome) : [];
  if (things.length > 0) wake(prepare, repository, things, now);
  return isOurs;
}
