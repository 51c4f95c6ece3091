// Marking rows.
import type { Mark } from '../../../row-queue.ts';
import { PRIORITY, PUT_OFF_MAX } from '../../../row.ts';
import type { Prepare } from '../statements.ts';

// An on-demand or event mark is strong: it comes from a known change. A row that waits keeps its place in the queue,
// unless it waits longer than any back-off: then the clock was ahead.
const MARK = `
  INSERT INTO rows (repository, reference, state, priority, next_attempt, event_at, pushed_at, marked_at)
  VALUES (:repository, :reference, 'pending', :priority, :now, :eventAt, :pushedAt, :now)
  ON CONFLICT (repository, reference) DO UPDATE SET
    generation = generation + 1,
    state = CASE WHEN state = 'syncing' OR (state = 'failed' AND NOT :isStrong) THEN state ELSE 'pending' END,
    priority = CASE WHEN state IN ('synced', 'unsupported') THEN excluded.priority
      ELSE MIN(priority, excluded.priority) END,
    attempts = CASE WHEN :isStrong OR state IN ('synced', 'unsupported') THEN 0 ELSE attempts END,
    next_attempt = CASE WHEN state IN ('synced', 'unsupported') OR next_attempt > :latest THEN :now
      WHEN :isStrong THEN MIN(next_attempt, :now) ELSE next_attempt END,
    event_at = COALESCE(MIN(event_at, excluded.event_at), event_at, excluded.event_at),
    pushed_at = CASE WHEN excluded.event_at IS NULL THEN pushed_at ELSE excluded.pushed_at END,
    waits_for = CASE WHEN :isStrong THEN NULL ELSE waits_for END,
    marked_at = :now
  WHERE :isStrong OR state <> 'unsupported'`;

/** @see RowStore.mark */
export function mark(prepare: Prepare, marks: readonly Mark[], now: number): void {
  const statement = prepare(MARK);
  for (const { repository, reference, priority, eventAt = null, isPush = false } of marks) {
    const isStrong = Number(priority <= PRIORITY.event);
    const pushedAt = isPush ? eventAt : null;
    statement.run({ repository, reference, priority, eventAt, pushedAt, isStrong, now, latest: now + PUT_OFF_MAX });
  }
}
