// Suspended removals. At a first start, and with another primary, the primary may be the wrong one, or an empty one. Until
// it is known to be right, nothing is removed that it may never have had.
import type { RowFilter } from './row-views.ts';
import type { RowStore } from './rows.ts';
import type { Site } from './site.ts';

/** What the suspension is kept in. */
export type SuspensionRows = Pick<RowStore, 'getFact' | 'setFact' | 'markAllUnknown' | 'confirmRemovals'>;

/** The confirmation came before everything was compared with the primary: what it would remove is not known yet. */
export class NotCompared extends Error {}

/**
 * Why removals wait. `first start`: those of what was never synced from the primary wait until the secondary has no tag
 * that the primary lacks, or a person confirms. `other primary`: all wait until a person confirms.
 */
export type SuspensionReason = 'first start' | 'other primary';

/** A suspension; a person may confirm once everything was compared. */
export interface Suspension {
  readonly because: SuspensionReason;
  readonly isCompared: boolean;
}

const PRIMARY = 'primary.url';
/** The fact why removals wait: a {@link SuspensionReason}; true is `other primary`, false none. */
const SUSPENDED = 'removals.suspended';
/** The fact that everything was compared since. */
const COMPARED = 'removals.compared';

async function suspend(rows: Pick<RowStore, 'setFact'>, because: SuspensionReason): Promise<void> {
  await rows.setFact(COMPARED, false);
  await rows.setFact(SUSPENDED, because);
}

/**
 * Notes which primary it is. Where none is known yet removals are suspended; where it was another one, every row's state
 * is unknown, too. `before` runs before the new primary is noted, so that it runs again after a crash.
 */
export async function notePrimary(
  { rows, log, clock }: Pick<Site, 'rows' | 'log' | 'clock'>,
  url: string,
  before: () => Promise<void>,
): Promise<void> {
  const last = await rows.getFact(PRIMARY);
  if (last === url) return;
  if (last === undefined) {
    await suspend(rows, 'first start');
  } else {
    await suspend(rows, 'other primary');
    await before();
    const count = await rows.markAllUnknown(clock());
    log.warn({ before: last, now: url, rows: count }, 'the primary is another: removals wait for confirm-removals');
  }
  await rows.setFact(PRIMARY, url);
}

/** Why removals wait, held or not; undefined where they do not. */
export async function suspensionOf(rows: Pick<RowStore, 'getFact'>): Promise<Suspension | undefined> {
  const [suspended, compared] = [await rows.getFact(SUSPENDED), await rows.getFact(COMPARED)];
  if (suspended === undefined || suspended === null || suspended === false) return undefined;
  return {
    because: suspended === 'first start' ? suspended : 'other primary',
    isCompared: compared === true,
  };
}

/** Everything was compared with the primary. */
export async function noteCompared(rows: Pick<RowStore, 'getFact' | 'setFact'>): Promise<void> {
  if (await suspensionOf(rows)) await rows.setFact(COMPARED, true);
}

/** Ends the suspension of a first start, and no other; answers whether removals are not suspended now. */
export async function endFirstStart(rows: Pick<RowStore, 'getFact' | 'setFact'>): Promise<boolean> {
  const suspension = await suspensionOf(rows);
  if (suspension?.because === 'first start') await rows.setFact(SUSPENDED, false);
  return suspension?.because !== 'other primary';
}

/** Whether there is a suspension that a person may end, or let some through. @throws NotCompared */
async function mayConfirm(rows: Pick<RowStore, 'getFact'>): Promise<boolean> {
  const suspension = await suspensionOf(rows);
  if (suspension && !suspension.isCompared) {
    throw new NotCompared('not everything was compared with the primary yet: let a comparison end first');
  }
  return suspension !== undefined;
}

/** Confirms all removals that are held, and ends a suspension; answers how many. @throws NotCompared */
export async function confirmRemovals(rows: SuspensionRows, now: number): Promise<number> {
  if (await mayConfirm(rows)) await rows.setFact(SUSPENDED, false);
  return rows.confirmRemovals({ isHeld: true }, now);
}

/** Confirms the removals of a repository, or of one tag, that are held; a suspension lasts. @throws NotCompared */
export async function confirmRemovalsOf(
  rows: SuspensionRows,
  filter: Pick<RowFilter, 'repository' | 'reference'>,
  now: number,
): Promise<number> {
  await mayConfirm(rows);
  return rows.confirmRemovals(filter, now);
}
