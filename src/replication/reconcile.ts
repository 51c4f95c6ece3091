// Runs over everything: a backfill marks what the primary has, a compare run asks both registries and marks what differs.
import { createSingleFlight } from '../lib/single-flight.ts';
import { allRepositories, primaryRepositories, type ListedRepositories } from './catalog.ts';
import type { Outages } from './outage.ts';
import type { Queue } from './queue.ts';
import type { RepositoryWalk } from './repository-walk.ts';
import { PRIORITY } from './row.ts';
import type { RowStore } from './rows.ts';
import type { Site } from './site.ts';
import { noteCompared } from './suspension.ts';
import { WalkRun, type Progress, type Visit } from './walk-run.ts';

/** A fact: everything of the primary was marked once. */
export const BACKFILLED = 'backfill.done';
/** A fact: where the backfill that did not end is to go on, as a query of the catalog. */
const BACKFILL_CURSOR = 'backfill.cursor';

// As the log names them.
const RUN_NAMES = { backfill: 'backfill', reconcile: 'compare run' } as const;

/** Forgets where a backfill was: that was in the catalog of another primary. */
export async function forgetBackfill(rows: Pick<RowStore, 'setFact'>): Promise<void> {
  await rows.setFact(BACKFILL_CURSOR, null);
}

/** What runs are made of. */
export interface WalksParts {
  readonly queue: Queue;
  readonly outages: Outages;
  readonly repositoryWalk: RepositoryWalk;
  readonly listedRepositories: ListedRepositories;
}

/** The runs; one at a time. */
export class Walks {
  readonly #site: Site;
  readonly #parts: WalksParts;
  readonly #latest = new Map<Progress['kind'], WalkRun>();
  readonly #stopping = new AbortController();
  readonly #join = createSingleFlight<Progress>();
  #last: Promise<unknown> = Promise.resolve();
  #partial = 0;

  constructor(site: Site, parts: WalksParts) {
    this.#site = site;
    this.#parts = parts;
  }

  /** Marks all that the primary has; only of the repositories that are `wanted`, where that is given. */
  backfill(wanted?: (name: string) => boolean): Promise<Progress> {
    const visit: Visit = (name, count) =>
      this.#parts.repositoryWalk.markAll(name, { priority: PRIORITY.backfill }, count);
    const key = wanted ? `backfill ${(this.#partial += 1)}` : 'backfill';
    const walk = (run: WalkRun): Promise<void> => (wanted ? this.#visitWanted(run, wanted) : this.#visitPrimary(run));
    return this.#join(key, () => this.#next('backfill', visit, walk, wanted === undefined));
  }

  /** Compares both registries and marks what differs. */
  reconcile(): Promise<Progress> {
    const visit: Visit = (name, count) => this.#parts.repositoryWalk.compareAll(name, count);
    return this.#join('reconcile', () => this.#next('reconcile', visit, (run) => this.#visitEverything(run), true));
  }

  /** The run of each kind that goes on, or ended last. */
  get progress(): readonly Progress[] {
    return [...this.#latest.values()].map((run) => run.progress);
  }

  /** Ends the run that goes on; resolves when it has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#last;
  }

  /** Takes the backfill up where it was: after a restart it goes on there. */
  async #visitPrimary(run: WalkRun): Promise<void> {
    const { rows } = this.#site;
    const cursor = (await rows.getFact(BACKFILL_CURSOR)) as string | null | undefined;
    for await (const page of primaryRepositories(this.#site, this.#parts.listedRepositories, cursor ?? undefined)) {
      await run.visitAll(page.names);
      await rows.setFact(BACKFILL_CURSOR, page.cursor ?? null);
    }
  }

  async #visitWanted(run: WalkRun, wanted: (name: string) => boolean): Promise<void> {
    for await (const { names } of primaryRepositories(this.#site, this.#parts.listedRepositories, undefined)) {
      await run.visitAll(names.filter(wanted));
    }
  }

  async #visitEverything(run: WalkRun): Promise<void> {
    for await (const names of allRepositories(this.#site, this.#parts.listedRepositories)) await run.visitAll(names);
    if (run.progress.repositoriesFailed === 0) await noteCompared(this.#site.rows);
  }

  /** Starts a run when the one before has ended. */
  #next(
    kind: Progress['kind'],
    visit: Visit,
    walk: (run: WalkRun) => Promise<void>,
    isOfAll: boolean,
  ): Promise<Progress> {
    const ended = this.#last.then(() => this.#run(kind, visit, walk, isOfAll));
    this.#last = ended;
    return ended;
  }

  async #run(
    kind: Progress['kind'],
    visit: Visit,
    walk: (run: WalkRun) => Promise<void>,
    isOfAll: boolean,
  ): Promise<Progress> {
    const { queue, outages } = this.#parts;
    const { log } = this.#site;
    const { signal } = this.#stopping;
    const run = new WalkRun({ site: this.#site, queue, outages, signal }, kind, visit);
    this.#latest.set(kind, run);
    try {
      if (isOfAll) run.expect(await this.#expected(kind));
      await walk(run);
      run.end();
      log.info({ ...run.progress }, `${RUN_NAMES[kind]} ended`);
    } catch (error) {
      run.end(signal.aborted ? 'stopped' : (error as Error).message);
      if (!signal.aborted) log.warn({ ...run.progress }, `${RUN_NAMES[kind]} ended early`);
    }
    return run.progress;
  }

  /** How many rows there are, once everything of the primary was marked; a first backfill finds more. */
  async #expected(kind: Progress['kind']): Promise<number | undefined> {
    const { rows, clock } = this.#site;
    if (kind === 'backfill' && (await rows.getFact(BACKFILLED)) !== true) return undefined;
    return Object.values((await rows.counts(clock())).states).reduce((sum, count) => sum + count, 0);
  }
}
