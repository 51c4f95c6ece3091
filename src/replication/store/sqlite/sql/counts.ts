// Counting for the status. Everything comes from indexes.
import type { Counts } from '../../../row-views.ts';
import { PRIORITY, type RowState, type ShownState } from '../../../row.ts';
import { REMOVAL_WINDOW } from '../../limits.ts';
import type { Prepare } from '../statements.ts';

const ROWS = `
  SELECT state, priority, shown_state, COUNT(*) AS rows, SUM(bytes) AS bytes, COUNT(verified_at) AS verified
  FROM rows INDEXED BY rows_counts GROUP BY state, priority, shown_state`;

const REST = `
  SELECT
    (SELECT COUNT(*) FROM rows WHERE held_generation IS NOT NULL AND is_confirmed = 0) AS held,
    (SELECT COUNT(*) FROM rows WHERE waits_for IS NOT NULL) AS waiting,
    (SELECT event_at FROM rows INDEXED BY rows_event
      WHERE event_at IS NOT NULL AND state <> 'unsupported' AND waits_for IS NULL ORDER BY event_at LIMIT 1) AS oldest,
    (SELECT COUNT(*) FROM blobs WHERE is_damaged) AS damaged,
    (SELECT COUNT(*) FROM malformed) AS malformed,
    (SELECT COUNT(*) FROM removals WHERE at > :since) AS removals`;

/** @see RowStore.counts */
export function counts(prepare: Prepare, now: number): Counts {
  const states: Record<RowState, number> = { pending: 0, syncing: 0, synced: 0, failed: 0, unsupported: 0 };
  const shownStates: Record<ShownState, number> = { ...states, recheck: 0 };
  const queue = { onDemand: 0, event: 0, reconcile: 0, backfill: 0 };
  const names = Object.keys(PRIORITY) as (keyof typeof PRIORITY)[];
  let [bytes, verified] = [0, 0];
  for (const group of prepare(ROWS).all()) {
    const rows = Number(group['rows']);
    states[group['state'] as RowState] += rows;
    shownStates[group['shown_state'] as ShownState] += rows;
    if (group['state'] === 'pending') queue[names[Number(group['priority'])]!] += rows;
    bytes += Number(group['bytes']);
    verified += Number(group['verified']);
  }
  const rest = prepare(REST).get({ since: now - REMOVAL_WINDOW })!;
  return {
    states,
    shownStates,
    queue,
    bytes,
    verified,
    held: Number(rest['held']),
    waiting: Number(rest['waiting']),
    damagedBlobs: Number(rest['damaged']),
    malformedEvents: Number(rest['malformed']),
    removalsLastDay: Number(rest['removals']),
    ...(rest['oldest'] === null ? {} : { oldestEventAt: Number(rest['oldest']) }),
  };
}
