// The command `backfill`: all that the primary has is copied to this site, by the running server or by this process.
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { counted, countText, visibleText } from '../status/figures.ts';
import type { RepositoryFilter } from '../status/row-listing.ts';
import type { Run, Snapshot } from '../status/snapshot.ts';
import { EXIT } from './exit-code.ts';
import { LOOK_EVERY, runFollowed, type StartAlone } from './following.ts';
import { createPace } from './pace.ts';
import { showBackfill, type ProgressView } from './progress.ts';
import type { Site } from './site.ts';

/** What the command line gives. */
export interface BackfillOptions {
  readonly repository?: RepositoryFilter;
  readonly json?: true;
}

/** How it ended. */
interface Ended {
  readonly run: Run;
  readonly snapshot: Snapshot;
}

// The first of them tells most of the time.
const ROWS = 100;

const LEFT = {
  served: 'the server goes on with the backfill; see status',
  alone: 'what is left waits for the next start',
};

/** Runs a backfill to its end, or until a signal; answers the exit code. */
export function backfill(
  config: Config,
  { repository, json }: BackfillOptions,
  startAlone: StartAlone,
): Promise<number> {
  return runFollowed<Ended>(config, startAlone, (site, view, signal) => follow(site, repository, view, signal), {
    name: 'backfill',
    tell: (ended) => tell(ended, repository, json),
    left: LEFT,
  });
}

/** Waits until the run has ended and what it queued is done; undefined when `signal` came first. */
async function follow(
  site: Site,
  repository: RepositoryFilter | undefined,
  view: ProgressView,
  signal: AbortSignal,
): Promise<Ended | undefined> {
  const { administration } = site;
  const before = (await administration.snapshot()).replication.runs.backfill;
  const answer = await administration.backfill(repository);
  if (!answer.started) view.show('a backfill runs already: following it');
  const isOurs = (run: Run | null): run is Run =>
    run !== null && (answer.run ? run.startedAt === answer.run.startedAt : run.startedAt !== before?.startedAt);
  const paceOf = createPace();
  while (!signal.aborted) {
    const snapshot = await administration.snapshot();
    const { backfill: last } = snapshot.replication.runs;
    const run = isOurs(last) ? last : null;
    showBackfill(view, run, snapshot, paceOf, Date.now());
    if (run && run.endedAt !== null && (await isWorkedOff(site, run, snapshot))) {
      view.show(`backfill: ${counted(run.marked, 'tag')}, all done`, 1);
      return { run, snapshot: await administration.snapshot() };
    }
    await delay(LOOK_EVERY, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}

/** Whether nothing is left to do; while a server runs, nothing queued before the run's end: events may come all the time. */
async function isWorkedOff({ administration, isServed }: Site, run: Run, { replication }: Snapshot): Promise<boolean> {
  const { tags, removals, waiting, runs } = replication;
  const isListing = [runs.backfill, runs.reconcile].some((one) => one?.endedAt === null);
  // Held removals are pending until a person confirms, and what waits for another manifest until that comes.
  if (!isListing && tags.pending + tags.recheck <= removals.held + waiting && tags.syncing === 0) return true;
  if (!isServed) return false;
  for (let after: number | null = 0; after !== null;) {
    const query = {
      states: ['pending', 'syncing', 'recheck'],
      held: false,
      waiting: false,
      limit: ROWS,
      after,
    } as const;
    const page = await administration.list(query);
    if (page.rows.some(({ markedAt }) => run.endedAt === null || markedAt <= run.endedAt)) return false;
    after = page.next;
  }
  return true;
}

function tell({ run, snapshot }: Ended, repository: RepositoryFilter | undefined, json: true | undefined): number {
  const { tags } = snapshot.replication;
  if (run.error === null && run.repositories === 0 && repository)
    throw new Error(`the primary has no repository that matches ${JSON.stringify(repository.text)}`);
  if (json) process.stdout.write(`${JSON.stringify({ run, tags })}\n`);
  else {
    const seen = `${counted(run.repositories, 'repository', 'repositories')}, ${counted(run.tags, 'tag')}`;
    const now = Object.entries(tags).filter(([, count]) => count > 0);
    const states = now.map(([state, count]) => `${countText(count)} ${state}`).join(', ');
    process.stdout.write(`backfill ended: ${seen}; the site has ${states || 'nothing'}\n`);
  }
  if (run.error !== null) throw new Error(`the backfill ended early: ${visibleText(run.error)}`);
  return tags.failed > 0 ? EXIT.attention : EXIT.ok;
}
