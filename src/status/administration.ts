// What people may ask of replication: by the admin API of a running process, or by a command that opened the database.
import type { Log } from '../lib/log.ts';
import type { Replication } from '../replication/replication.ts';
import type { RowFilter } from '../replication/row-views.ts';
import { PRIORITY } from '../replication/row.ts';
import type { RowStore } from '../replication/rows.ts';
import { confirmRemovals, confirmRemovalsOf, type SuspensionRows } from '../replication/suspension.ts';
import { listRepositories, type RepositoryListQuery, type RepositoryPage } from './repository-listing.ts';
import { listRows, type RepositoryFilter, type RowPage, type RowQuery } from './row-listing.ts';
import { createOrder, NotNow, type Order, type OrderAnswer } from './order.ts';
import { runOf, verifyRunOf, type Run, type VerifyRun } from './runs.ts';
import { toldSuspension, type TakeSnapshot } from './snapshot.ts';

/** How many rows are due again. */
export interface RetryAnswer {
  readonly changed: number;
}

/** How many removals were confirmed, and whether others still wait, whatever the limit. */
export interface ConfirmAnswer {
  readonly confirmed: number;
  readonly suspended: boolean;
}

/** How much a verification reads. */
export interface VerifyOptions {
  readonly rehash?: boolean | undefined;
}

/** Which of the failed rows. */
export interface RetryOptions {
  /** As `/api/attention` groups them. */
  readonly cause?: string | undefined;
}

/** What the orders work on; without `replication` it is a database that nobody else has open. */
export interface AdministrationDeps {
  readonly rows: Pick<
    RowStore,
    'list' | 'find' | 'mark' | 'repositories' | 'repositorySummaries' | 'countRepositories' | 'checksum' | 'retry'
  > &
    SuspensionRows;
  readonly snapshot: TakeSnapshot;
  readonly replication?: Pick<Replication, 'nudge' | 'walks' | 'verification' | 'confirmRemovals'>;
  readonly log: Log;
  readonly clock?: () => number;
}

type Change = (filter: RowFilter & { readonly repository: string }) => Promise<number>;

/** What was named has no row: there is nothing to be done with it. The message says so. */
export class NotKnown extends Error {}

function running<T extends { readonly endedAt: string | null }>(run: T | null): T | null {
  return run?.endedAt === null ? run : null;
}

/** The same by whatever way: here, or by the admin API of another process. */
export type Administration = Pick<ReplicationAdministration, keyof ReplicationAdministration>;

/** What people may ask and order; without a filter they mean all repositories. Any may throw StoreUnavailable. */
export class ReplicationAdministration {
  readonly snapshot: TakeSnapshot;
  readonly #deps: AdministrationDeps;
  readonly #replication: AdministrationDeps['replication'];
  readonly #isOn: boolean;
  readonly #clock: () => number;
  readonly #order: { readonly backfill: Order<Run>; readonly verify: Order<VerifyRun> };

  constructor(deps: AdministrationDeps, { isOn }: { isOn: boolean }) {
    const { snapshot, replication, log, clock = Date.now } = deps;
    this.snapshot = snapshot;
    this.#deps = deps;
    this.#replication = replication;
    this.#isOn = isOn;
    this.#clock = clock;
    this.#order = {
      backfill: createOrder<Run>({
        name: 'backfill',
        underWay: () => running(runOf(replication?.walks.progress ?? [], 'backfill', clock())),
        log,
      }),
      verify: createOrder<VerifyRun>({
        name: 'verification',
        underWay: () => running(verifyRunOf(replication?.verification.progress, clock())),
        log,
      }),
    };
  }

  /** What only a process that replicates can do. @throws NotNow */
  #replicating(): NonNullable<AdministrationDeps['replication']> {
    if (!this.#replication) throw new NotNow('no process of the proxy answers: start it');
    if (!this.#isOn) throw new NotNow('replication is off: set GEO_REPLICATION and GEO_STORE to on, and start again');
    return this.#replication;
  }

  async #changeEach(change: Change, repositories: RepositoryFilter): Promise<number> {
    const { rows } = this.#deps;
    const { exact, matches, reference } = repositories;
    const names = exact === undefined ? (await rows.repositories()).filter(matches) : [exact];
    const one = reference === undefined ? {} : { reference };
    let count = 0;
    for (const repository of names) count += await change({ repository, ...one });
    return count;
  }

  /** @throws NotKnown for one repository, or one tag of it, that has no row */
  async #requireKnown({ exact, reference }: RepositoryFilter): Promise<void> {
    const { rows } = this.#deps;
    if (exact === undefined) return;
    const one = reference === undefined ? {} : { reference };
    const [row] = await rows.list({ repository: exact, ...one, limit: 1 });
    if (row) return;
    const what = reference === undefined ? `repository ${exact}` : `${reference} in repository ${exact}`;
    throw new NotKnown(`no ${what} is known here: check its name, or let a backfill find it`);
  }

  /** One tag or manifest is looked at again by itself. */
  async #queue(repository: string, reference: string): Promise<OrderAnswer<Run>> {
    const { rows } = this.#deps;
    await rows.mark([{ repository, reference, priority: PRIORITY.onDemand }], this.#clock());
    this.#replication?.nudge();
    return { started: true, run: null };
  }

  #confirmAll(): Promise<number> {
    const { rows } = this.#deps;
    return this.#replication ? this.#replication.confirmRemovals() : confirmRemovals(rows, this.#clock());
  }

  list(query: RowQuery): Promise<RowPage> {
    return listRows(this.#deps.rows, query);
  }

  listRepositories(query: RepositoryListQuery): Promise<RepositoryPage> {
    return listRepositories(this.#deps.rows, query);
  }

  /** Begins to mark all that the primary has. @throws NotNow */
  async backfill(repositories?: RepositoryFilter): Promise<OrderAnswer<Run>> {
    const { walks } = this.#replicating();
    const { exact, reference } = repositories ?? {};
    if (exact !== undefined && reference !== undefined) return this.#queue(exact, reference);
    return this.#order.backfill(repositories, () => walks.backfill(repositories?.matches));
  }

  /** Begins to verify what is in the secondary; with `rehash` every blob is read, however lately it was. @throws NotNow */
  async verify(repositories?: RepositoryFilter, { rehash }: VerifyOptions = {}): Promise<OrderAnswer<VerifyRun>> {
    const { verification } = this.#replicating();
    return this.#order.verify(repositories, () =>
      verification.run({ wanted: repositories?.matches, rehash, reference: repositories?.reference }),
    );
  }

  /** Makes failed and unsupported rows due now; with `cause` those that fail for this reason. */
  async retry(repositories?: RepositoryFilter, { cause }: RetryOptions = {}): Promise<RetryAnswer> {
    const { rows } = this.#deps;
    if (repositories) await this.#requireKnown(repositories);
    const more = cause === undefined ? {} : { cause };
    const changed = await (repositories
      ? this.#changeEach((filter) => rows.retry({ ...filter, ...more }, this.#clock()), repositories)
      : rows.retry(more, this.#clock()));
    this.#replication?.nudge();
    return { changed };
  }

  /**
   * Confirms the removals that wait; without a filter it also ends their suspension, at a first start or with another
   * primary. @throws NotCompared
   */
  async confirmRemovals(repositories?: RepositoryFilter): Promise<ConfirmAnswer> {
    const { rows } = this.#deps;
    const confirmed = await (repositories
      ? this.#changeEach((filter) => confirmRemovalsOf(rows, filter, this.#clock()), repositories)
      : this.#confirmAll());
    this.#replication?.nudge();
    return { confirmed, suspended: (await toldSuspension(rows, this.#isOn)) !== null };
  }
}
