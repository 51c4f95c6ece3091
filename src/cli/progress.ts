// Progress of what takes its time: one line that is drawn anew on a terminal, now and then a line of its own elsewhere.
import { bytesText, counted, countText, durationText, fromNow, visibleText } from '../status/figures.ts';
import type { Run, VerifyRun } from '../status/snapshot.ts';
import type { AnySnapshot, RunProgress } from './api.ts';
import type { Pace, Sums } from './pace.ts';

/** Shows how far something is: a text, after a bar for its share (0 to 1, never less than before) on a terminal. */
export interface ProgressView {
  show(text: string, share?: number): void;
  /** Leaves what was shown last standing. */
  end(): void;
}

const BAR = 24;
// Between two lines where they are not drawn over (ms).
const LINE_EVERY = 10_000;

/** A view on standard error; output for scripts goes to standard output. */
export async function createProgressView(stream = process.stderr, clock = Date.now): Promise<ProgressView> {
  // Some containers have a terminal of unknown size: nothing can be drawn on no columns.
  if (stream.isTTY && stream.columns > 0) {
    const { createLogUpdate } = await import('log-update');
    const draw = createLogUpdate(stream);
    let highest = 0;
    return {
      show(text, share) {
        if (share !== undefined) highest = Math.min(1, Math.max(highest, share));
        draw(share === undefined ? text : `${bar(highest)} ${text}`);
      },
      end: () => draw.done(),
    };
  }
  let last = { text: '', at: 0 };
  return {
    show(text) {
      if (text === last.text || clock() - last.at < LINE_EVERY) return;
      last = { text, at: clock() };
      stream.write(`${text}\n`);
    },
    end: () => undefined,
  };
}

function bar(share: number): string {
  const full = Math.floor(share * BAR);
  return '█'.repeat(full) + '░'.repeat(BAR - full);
}

function speedOf({ bytesPerSecond }: Pace): string[] {
  return bytesPerSecond === undefined || bytesPerSecond < 1 ? [] : [`${bytesText(bytesPerSecond)}/s`];
}

function timeLeft(ms: number | null | undefined): string[] {
  return ms === undefined || ms === null || ms <= 0 ? [] : [`about ${durationText(ms)} left`];
}

function waitText(name: string, isBehind: boolean): string {
  return isBehind ? `${name}: waits until another run has ended` : `${name}: starting`;
}

/** Shows how far a backfill is: while it lists the primary, what it has found; then how much of that is done. */
export function showBackfill(
  view: ProgressView,
  run: Run | null,
  { replication, rate }: AnySnapshot,
  paceOf: (sums: Sums) => Pace,
  now: number,
): void {
  const { tags, queue, worker, runs } = replication;
  if (!run) return view.show(waitText('backfill', runs.reconcile?.endedAt === null || runs.backfill?.endedAt === null));
  const done = Math.max(0, run.marked - queue.backfill - tags.syncing);
  const pace = paceOf({ done, bytes: replication.bytes });
  const copied = [
    ...(pace.bytes > 0 ? [`${bytesText(pace.bytes)} copied`] : []),
    ...speedOf(pace),
    ...(tags.failed > 0 ? [`${countText(tags.failed)} failed`] : []),
    ...(worker.pausedUntil === null
      ? []
      : [`pauses, goes on ${fromNow(worker.pausedUntil, now)}: ${visibleText(worker.pausedBecause ?? '')}`]),
  ];
  if (run.endedAt === null) {
    const listed = `${countText(run.repositoriesDone)} of ${counted(run.repositories, 'repository', 'repositories')} listed`;
    const queued = `${countText(done)} of ${counted(run.marked, 'tag')} so far`;
    return view.show(['backfill: ' + listed, queued, ...copied].join(', '));
  }
  const left = timeLeft(rate?.timeLeftMs ?? pace.timeFor(run.marked - done));
  const text = [`backfill: ${countText(done)} of ${counted(run.marked, 'tag')}`, ...copied, ...left].join(', ');
  view.show(text, run.marked === 0 ? 1 : done / run.marked);
}

/** Shows how far a verification is; how many tags there will be is known for all repositories, or from a newer server. */
export function showVerify(
  view: ProgressView,
  run: (VerifyRun & Partial<RunProgress>) | null,
  { replication }: AnySnapshot,
  paceOf: (sums: Sums) => Pace,
  isOfAll: boolean,
): void {
  if (!run) return view.show(waitText('verify', replication.runs.verify?.endedAt === null));
  const { rows, damaged, blobs, bytes } = run;
  const pace = paceOf({ done: rows, bytes });
  const total = run.total ?? (isOfAll ? replication.tags.synced : undefined);
  const all = total === undefined ? undefined : Math.max(rows, total);
  const parts = [
    `verify: ${all === undefined ? counted(rows, 'tag') : `${countText(rows)} of ${counted(all, 'tag')}`}`,
    counted(blobs, 'blob'),
    `${bytesText(bytes)} read`,
    ...speedOf(pace),
    ...(damaged > 0 ? [`${countText(damaged)} damaged`] : []),
    ...timeLeft(run.timeLeftMs ?? (all === undefined ? undefined : pace.timeFor(all - rows))),
  ];
  view.show(parts.join(', '), all === undefined || all === 0 ? undefined : rows / all);
}
