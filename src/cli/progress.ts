// Progress of what takes its time: one line that is drawn anew on a terminal, now and then a line of its own elsewhere.
import { bytesText, counted, countText, fromNow, visibleText } from '../status/figures.ts';
import type { Run, Snapshot, VerifyRun } from '../status/snapshot.ts';

/** Shows how far something is: a text, after a bar for its share (0 to 1) on a terminal. */
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
  // A terminal whose size nobody has told, as some containers have: nothing can be drawn on no columns.
  if (stream.isTTY && stream.columns > 0) {
    const { createLogUpdate } = await import('log-update');
    const draw = createLogUpdate(stream);
    return {
      show: (text, share) => draw(share === undefined ? text : `${bar(share)} ${text}`),
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

/** Shows how far a backfill is: of what its walk has marked, how much no longer waits. */
export function showBackfill(view: ProgressView, run: Run | null, { replication }: Snapshot, now: number): void {
  if (!run) return view.show('backfill: waits until another walk has ended');
  const { tags, queue, worker } = replication;
  const done = Math.max(0, run.marked - queue.backfill - tags.syncing);
  const repositories = `${countText(run.repositoriesDone)} of ${counted(run.repositories, 'repository', 'repositories')}`;
  const parts = [
    `backfill: ${countText(done)} of ${counted(run.marked, 'tag')}`,
    ...(run.endedAt === null ? [`${repositories} looked through`] : []),
    `${countText(worker.running)} worked on`,
    ...(tags.failed > 0 ? [`${countText(tags.failed)} failed`] : []),
    ...(worker.pausedUntil === null
      ? []
      : [`pauses, goes on ${fromNow(worker.pausedUntil, now)}: ${visibleText(worker.pausedBecause ?? '')}`]),
  ];
  view.show(parts.join(', '), run.marked === 0 ? 0 : done / run.marked);
}

/** Shows how far a verification is; of some repositories nobody knows how many tags there are to be. */
export function showVerify(
  view: ProgressView,
  run: VerifyRun | null,
  { replication }: Snapshot,
  isOfAll: boolean,
): void {
  if (!run) return view.show('verify: waits until another verification has ended');
  const { rows, damaged, blobs, bytes } = run;
  const all = Math.max(rows, replication.tags.synced);
  const looked = isOfAll ? `${countText(rows)} of ${counted(all, 'tag')}` : counted(rows, 'tag');
  const parts = [
    `verify: ${looked}`,
    `${counted(blobs, 'blob')} looked at, ${bytesText(bytes)} read`,
    ...(damaged > 0 ? [`${countText(damaged)} damaged`] : []),
  ];
  view.show(parts.join(', '), isOfAll && all > 0 ? rows / all : undefined);
}
