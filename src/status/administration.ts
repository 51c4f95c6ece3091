// What people may ask of replication: by the admin API of a running process, or by a command that opened the database.
import type { Log } from '../lib/log.ts';
import type { Replication } from '../replication/replication.ts';
import type { RowFilter, RowStore } from '../replication/rows.ts';
import { confirmRemovals, isSuspended, type SuspensionRows } from '../replication/suspension.ts';
import { listRepositories, type RepositoryListQuery, type RepositoryPage } from './repository-listing.ts';
import { listRows, type RepositoryFilter, type RowPage, type RowQuery } from './row-listing.ts';
import { runOf, type Run, type TakeSnapshot } from './snapshot.ts';

/**
 * What a backfill answers. One that runs or waits already for these repositories is joined (`started` is false); `run` is
 * null until it begins: another walk may have to end first.
 */
export interface BackfillAnswer {
  readonly started: boolean;
  readonly run: Run | null;
}

/** How many rows are due again. */
export interface RetryAnswer {
  readonly changed: number;
}

/** How many removals were confirmed, and whether all others still wait, since the primary is another than before. */
export interface ConfirmAnswer {
  readonly confirmed: number;
  readonly suspended: boolean;
}

/** The questions and orders; without a filter they mean all repositories. Any may throw StoreUnavailable. */
export interface Administration {
  readonly snapshot: TakeSnapshot;
  list(query: RowQuery): Promise<RowPage>;
  listRepositories(query: RepositoryListQuery): Promise<RepositoryPage>;
  /** Begins to mark all that the primary has. @throws NotNow */
  backfill(repositories?: RepositoryFilter): Promise<BackfillAnswer>;
  /** Makes failed and unsupported rows due now. */
  retry(repositories?: RepositoryFilter): Promise<RetryAnswer>;
  /**
   * Confirms the removals that wait; without a filter it also ends the waiting of all, where the primary is another than
   * before. @throws NotCompared
   */
  confirmRemovals(repositories?: RepositoryFilter): Promise<ConfirmAnswer>;
}

/** What was asked cannot be done in this state; the message says why, and what to do. */
export class NotNow extends Error {}

/** What the orders work on; without `replication` it is a database that nobody else has open. */
export interface AdministrationDeps {
  readonly rows: Pick<RowStore, 'list' | 'repositories' | 'repositorySummaries' | 'checksum' | 'retry'> &
    SuspensionRows;
  readonly snapshot: TakeSnapshot;
  readonly replication?: Pick<Replication, 'nudge' | 'walks' | 'confirmRemovals'>;
  readonly log: Log;
  readonly clock?: () => number;
}

type Change = (filter: RowFilter, now: number) => Promise<number>;

/** @see Administration */
export function createAdministration(deps: AdministrationDeps, { isOn }: { isOn: boolean }): Administration {
  const { rows, replication, log, clock = Date.now } = deps;
  // The backfill that was asked for last, until it ends; one that replication began by itself is not among them.
  let ordered: { readonly text: string | undefined } | undefined;

  /** The backfill that runs or waits, if it is this one too. @throws NotNow for another one */
  function backfillToJoin(text: string | undefined): BackfillAnswer | undefined {
    const last = runOf(replication?.walks.progress ?? [], 'backfill');
    const run = last?.endedAt === null ? last : null;
    const current = ordered ?? (run ? { text: undefined } : undefined);
    if (!current) return undefined;
    if (current.text === undefined || current.text === text) return { started: false, run };
    throw new NotNow(`a backfill of ${current.text} is not done yet: ask again when it has ended`);
  }

  async function changeEach(change: Change, repositories: RepositoryFilter | undefined): Promise<number> {
    if (!repositories) return change({}, clock());
    const { exact, matches } = repositories;
    const names = exact === undefined ? (await rows.repositories()).filter(matches) : [exact];
    let count = 0;
    for (const repository of names) count += await change({ repository }, clock());
    return count;
  }

  function confirmAll(): Promise<number> {
    return replication ? replication.confirmRemovals() : confirmRemovals(rows, clock());
  }

  return {
    snapshot: deps.snapshot,
    list: (query) => listRows(rows, query),
    listRepositories: (query) => listRepositories(rows, query),

    async backfill(repositories) {
      if (!replication) throw new NotNow('no process of the proxy answers: start it');
      if (!isOn) throw new NotNow('replication is off: set GEO_REPLICATION and GEO_STORE to on, and start again');
      const joined = backfillToJoin(repositories?.text);
      if (joined) return joined;
      ordered = { text: repositories?.text };
      replication.walks
        .backfill(repositories?.matches)
        .catch((error: unknown) => log.error({ reason: (error as Error).message }, 'backfill failed'))
        .finally(() => (ordered = undefined));
      return { started: true, run: null };
    },

    async retry(repositories) {
      const changed = await changeEach((filter, now) => rows.retry(filter, now), repositories);
      replication?.nudge();
      return { changed };
    },

    async confirmRemovals(repositories) {
      const confirmed = await (repositories
        ? changeEach((filter, now) => rows.confirmRemovals(filter, now), repositories)
        : confirmAll());
      replication?.nudge();
      return { confirmed, suspended: await isSuspended(rows) };
    },
  };
}
