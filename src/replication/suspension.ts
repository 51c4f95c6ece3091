// Another primary: what it lacks may never have been there. Nothing is removed before all was compared with it once, and
// a person has confirmed.
import type { Log } from '../lib/log.ts';
import type { RowStore } from './rows.ts';

/** What the suspension is kept in. */
export type SuspensionRows = Pick<RowStore, 'getFact' | 'setFact' | 'markAllUnknown' | 'confirmRemovals'>;

/** The confirmation came before everything was compared with another primary: nobody can know what it would remove. */
export class NotCompared extends Error {}

const PRIMARY = 'primary.url';
/** The fact that all removals wait for a person. */
const SUSPENDED = 'removals.suspended';
/** The fact that everything was compared since. */
const COMPARED = 'removals.compared';

/**
 * Notes which primary it is. Where it was another before, every row is of unknown state and removals are suspended; what
 * `before` does is done before that is noted, so that it is done again after a crash.
 */
export async function notePrimary(
  { rows, log, clock = Date.now }: { rows: SuspensionRows; log: Log; clock?: () => number },
  url: string,
  before: () => Promise<void> = async () => undefined,
): Promise<void> {
  const last = await rows.getFact(PRIMARY);
  if (last === url) return;
  if (last !== undefined) {
    await rows.setFact(COMPARED, false);
    await rows.setFact(SUSPENDED, true);
    await before();
    const count = await rows.markAllUnknown(clock());
    log.warn({ before: last, now: url, rows: count }, 'the primary is another: removals wait for confirm-removals');
  }
  await rows.setFact(PRIMARY, url);
}

/** Whether removals wait, held or not, since the primary is another than before. */
export async function isSuspended(rows: Pick<RowStore, 'getFact'>): Promise<boolean> {
  return (await rows.getFact(SUSPENDED)) === true;
}

/** Everything was compared with the primary. */
export async function noteCompared(rows: Pick<RowStore, 'getFact' | 'setFact'>): Promise<void> {
  if (await isSuspended(rows)) await rows.setFact(COMPARED, true);
}

/** Confirms the removals that are held, and ends a suspension; answers how many. @throws NotCompared */
export async function confirmRemovals(rows: SuspensionRows, now: number): Promise<number> {
  if (await isSuspended(rows)) {
    if ((await rows.getFact(COMPARED)) !== true) {
      throw new NotCompared('not everything was compared with the new primary yet: let a reconcile end first');
    }
    await rows.setFact(SUSPENDED, false);
  }
  return rows.confirmRemovals({ isHeld: true }, now);
}
