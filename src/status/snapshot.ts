// The snapshot: one look at everything, which the page, the API, the command line and the metrics share.
import type { Replication } from '../replication/replication.ts';
import { removalLimit } from '../replication/removal.ts';
import type { Counts, RepositoryCounts } from '../replication/row-views.ts';
import type { ShownState } from '../replication/row.ts';
import { StoreUnavailable, type RowStore } from '../replication/rows.ts';
import { suspensionOf, type Suspension } from '../replication/suspension.ts';
import type * as Api from './api.ts';
import { UNASKED, type CheckReadiness, type Readiness } from './health.ts';
import { judge } from './judgement.ts';
import { inOrder, problem } from './problem.ts';
import type { RateWatch } from './rate-watch.ts';
import { runOf, verifyRunOf, type Runs } from './runs.ts';
import { isoTime } from './time.ts';
import type { WebhookCalls } from './webhook-watch.ts';

export type { Run, Runs, VerifyRun } from './runs.ts';
export { isoTime } from './time.ts';

/**
 * The answer of `GET /api/status`; these names are stable. Times are ISO 8601 in UTC, `…Ms` milliseconds, `…Bytes` and
 * `bytes` bytes, null what is not known or not so.
 */
export interface Snapshot extends Api.Snapshot {
  readonly version: string;
  readonly site: string;
  /** What `/readyz` says by {@link judge}; `stopped` when only the database was read, since no process answers. */
  readonly status: Readiness['status'] | 'stopped';
  /** Whether any pull can be answered. */
  readonly ready: boolean;
  /** The texts of the problems that are errors or warnings. */
  readonly reasons: readonly string[];
  /** What is wrong or waits for a person, root causes first. */
  readonly problems: readonly Api.Problem[];
  readonly startedAt: string | null;
  readonly uptimeMs: number | null;
  readonly replication: {
    /** `GEO_REPLICATION` and `GEO_STORE`. */
    readonly on: boolean;
    /** Rows by state; each is a tag, or a manifest without one. */
    readonly tags: Readonly<Record<ShownState, number>>;
    /** Repositories that have rows, and how those do. */
    readonly repositories: RepositoryCounts;
    /** Pending rows by who asked; held removals, and those that wait for another tag or manifest, are among them. */
    readonly queue: Counts['queue'];
    /** Pending rows that wait for another tag or manifest. */
    readonly waiting: number;
    /** The age of the oldest event that is not worked off, and when that came; 0 and null when there is none. */
    readonly lagMs: number;
    readonly oldestEventAt: string | null;
    /** Body bytes that were copied from the primary. */
    readonly bytes: number;
    /** Rows whose blobs were read and hashed. */
    readonly verified: number;
    readonly removals: {
      /** Those that wait for `confirm-removals`. */
      readonly held: number;
      readonly lastDay: number;
      /** How many may be carried out in 24 h without a person (`GEO_REMOVAL_LIMIT`). */
      readonly limit: number;
      /** Removals wait, whatever the limit: all of them, or those of what was never seen at the primary. */
      readonly suspended: boolean;
      /** Why, and whether a person may confirm yet; null where none wait. */
      readonly suspension: Suspension | null;
    };
    /** Rows that this process works on, and until when and why it claims none. */
    readonly worker: {
      readonly running: number;
      readonly pausedUntil: string | null;
      readonly pausedBecause: string | null;
    };
    readonly runs: Runs;
    /** Events that could not be understood, as far as they are kept. */
    readonly malformedEvents: number;
  };
  /** Blobs of the secondary that were found damaged and are not whole again. */
  readonly damaged: number;
  /** How both registries do; null where they were not asked. */
  readonly registries: Api.Snapshot['registries'];
  /** The primary's notifications; null in a stopped process, as what follows. */
  readonly webhook: Api.Snapshot['webhook'];
  readonly spool: Api.Snapshot['spool'];
  readonly pulls: Api.Snapshot['pulls'];
  readonly rate: Api.Snapshot['rate'];
  /** `open` while a registry is taken for down. */
  readonly breakers: Readonly<Record<'primary' | 'secondary', 'open' | 'closed'>> | null;
  readonly spoolBytes: number | null;
}

/** What a running process knows beside the database. */
export interface Live {
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly checkReadiness: CheckReadiness;
  readonly replication: Pick<Replication, 'walks' | 'worker' | 'verification'>;
  /** Where notifications go, whether they are taken, and what is known of them. */
  readonly webhook: { readonly on: boolean; readonly path: string; readonly calls: () => WebhookCalls };
  readonly spool: { readonly max: number; readonly diskFreeBytes: () => Promise<number | null> };
  readonly pulls: () => Api.Snapshot['pulls'];
  readonly rate: RateWatch['rate'];
  readonly hasClientAuth: boolean;
  readonly breakersOpen: () => Readonly<Record<'primary' | 'secondary', boolean>>;
  readonly spoolBytes: () => number;
}

/** What a snapshot is taken of; without `live` it is that of a stopped process. */
export interface SnapshotDeps {
  readonly version: string;
  readonly site: string;
  readonly rows: Pick<RowStore, 'counts' | 'repositoryCounts' | 'getFact'>;
  readonly live?: Live;
  readonly clock?: () => number;
}

/** Settings that the snapshot tells. */
export interface SnapshotOptions {
  readonly isOn: boolean;
  /** The share of all tags that may be removed in 24 h. */
  readonly removalShare: number;
}

/**
 * Takes a snapshot; costs no more than the store's counts. With `asks` false no registry is asked whether it answers
 * (a scrape every few seconds is no reason to), and only the process's own state is told. @throws StoreUnavailable
 */
export type TakeSnapshot = (options?: SnapshotRequest) => Promise<Snapshot>;

/** How a snapshot is taken. */
export interface SnapshotRequest {
  readonly asks?: boolean;
  /** What asking came to a moment ago: then nothing is asked again. */
  readonly readiness?: Readiness;
}

/** What the rows tell. */
interface Stored {
  readonly counts: Counts;
  readonly repositories: RepositoryCounts;
  readonly suspension: Suspension | null;
}

/** Why removals wait, for people; a first start's suspension is told of where something may be removed at all. */
export async function toldSuspension(rows: Pick<RowStore, 'getFact'>, isOn: boolean): Promise<Suspension | null> {
  const suspension = await suspensionOf(rows);
  return suspension && (isOn || suspension.because === 'other primary') ? suspension : null;
}

function breakersOf({ breakersOpen }: Live): Snapshot['breakers'] {
  const { primary, secondary } = breakersOpen();
  return { primary: primary ? 'open' : 'closed', secondary: secondary ? 'open' : 'closed' };
}

async function spoolOf({ spool, spoolBytes }: Live): Promise<Snapshot['spool']> {
  return { bytes: spoolBytes(), max: spool.max, diskFreeBytes: await spool.diskFreeBytes() };
}

function withTrouble(readiness: Readiness, trouble: string | undefined): Readiness {
  const isTold = readiness.problems.some(({ code }) => code === 'database-unavailable');
  if (trouble === undefined || isTold) return readiness;
  const told = problem('database-unavailable', `what is stored cannot be read: ${trouble}`);
  return { ...readiness, problems: inOrder([...readiness.problems, told]) };
}

/** @see TakeSnapshot */
class SnapshotTaker {
  readonly #deps: SnapshotDeps;
  readonly #options: SnapshotOptions;
  /** What was read last: it is told while the database cannot be read. */
  #last: Stored | undefined;

  constructor(deps: SnapshotDeps, options: SnapshotOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** What the rows tell, and why they cannot be read now. @throws StoreUnavailable where nothing was read before */
  async #read(now: number): Promise<Stored & { readonly trouble?: string }> {
    const { isOn } = this.#options;
    const { rows, live } = this.#deps;
    try {
      const [counts, repositories, suspension] = await Promise.all([
        rows.counts(now),
        rows.repositoryCounts(),
        toldSuspension(rows, isOn),
      ]);
      this.#last = { counts, repositories, suspension };
      return this.#last;
    } catch (error) {
      if (!live || !this.#last || !(error instanceof StoreUnavailable)) throw error;
      return { ...this.#last, trouble: error.message };
    }
  }

  #replicationOf({ counts, repositories, suspension }: Stored, now: number): Snapshot['replication'] {
    const { isOn, removalShare } = this.#options;
    const { live } = this.#deps;
    const { queue, waiting, oldestEventAt, bytes, verified, held, removalsLastDay, malformedEvents } = counts;
    const progress = live?.replication.walks.progress ?? [];
    return {
      on: isOn,
      tags: counts.shownStates,
      repositories,
      queue,
      waiting,
      lagMs: oldestEventAt === undefined ? 0 : Math.max(0, now - oldestEventAt),
      oldestEventAt: isoTime(oldestEventAt),
      bytes,
      verified,
      malformedEvents,
      removals: {
        held,
        lastDay: removalsLastDay,
        limit: removalLimit(counts, removalShare),
        suspended: suspension !== null,
        suspension,
      },
      worker: {
        running: live?.replication.worker.running ?? 0,
        pausedUntil: isoTime(live?.replication.worker.pausedUntil),
        pausedBecause: live?.replication.worker.pausedBecause ?? null,
      },
      runs: {
        backfill: runOf(progress, 'backfill', now),
        reconcile: runOf(progress, 'reconcile', now),
        verify: verifyRunOf(live?.replication.verification.progress, now),
      },
    };
  }

  readonly take: TakeSnapshot = async ({ asks = true, readiness: given } = {}) => {
    const { version, site, live, clock = Date.now } = this.#deps;
    const now = clock();
    const [readiness, stored, spool] = await Promise.all([
      live ? (given ?? (asks ? live.checkReadiness() : UNASKED)) : undefined,
      this.#read(now),
      live ? spoolOf(live) : null,
    ]);
    const { counts, trouble } = stored;
    const facts = {
      replication: this.#replicationOf(stored, now),
      damaged: counts.damagedBlobs,
      webhook: live ? { on: live.webhook.on, path: live.webhook.path, ...live.webhook.calls() } : null,
      spool,
      breakers: live ? breakersOf(live) : null,
      uptimeMs: live ? now - live.startedAt : null,
    };
    const hasClientAuth = live?.hasClientAuth;
    const judgement = judge(readiness && withTrouble(readiness, trouble), { ...facts, hasClientAuth });
    const queued = counts.states.pending + counts.states.syncing - counts.held - counts.waiting;
    return {
      version,
      site,
      ...judgement,
      ready: readiness?.ready ?? false,
      startedAt: isoTime(live?.startedAt),
      ...facts,
      registries: readiness?.registries ?? null,
      spoolBytes: live ? live.spoolBytes() : null,
      pulls: live ? live.pulls() : null,
      rate: live && this.#options.isOn ? live.rate(counts.bytes, Math.max(0, queued)) : null,
    };
  };
}

/** A {@link TakeSnapshot} of these parts. */
export function createSnapshot(deps: SnapshotDeps, options: SnapshotOptions): TakeSnapshot {
  return new SnapshotTaker(deps, options).take;
}
