// The snapshot: one look at everything, which the page, the API, the command line and the metrics share.
import type { AuditProgress } from '../replication/audit.ts';
import type { Replication } from '../replication/replication.ts';
import type { Progress } from '../replication/reconcile.ts';
import { removalLimit } from '../replication/removal.ts';
import type { Counts, RepositoryCounts, RowState, RowStore } from '../replication/rows.ts';
import { suspensionOf, type Suspension } from '../replication/suspension.ts';
import type { CheckReadiness, Readiness } from './health.ts';

/** A walk over everything, as JSON. */
export interface Run {
  readonly startedAt: string;
  /** null while it runs. */
  readonly endedAt: string | null;
  readonly repositories: number;
  readonly repositoriesDone: number;
  /** Those that could not be walked; they are tried again. */
  readonly repositoriesFailed: number;
  /** Tags that were looked at, and those of them that were marked for the workers. */
  readonly tags: number;
  readonly marked: number;
  /** Why it ended early. */
  readonly error: string | null;
}

/** A verification, as JSON: its counts are those of {@link AuditProgress}. */
export interface VerifyRun extends Omit<AuditProgress, 'kind' | 'startedAt' | 'endedAt' | 'error'> {
  readonly startedAt: string;
  /** null while it runs. */
  readonly endedAt: string | null;
  /** Why it ended early. */
  readonly error: string | null;
}

/** The walk of each kind, and the verification, that runs, else the last one since the start. */
export type Runs = Readonly<Record<Progress['kind'], Run | null>> & { readonly verify: VerifyRun | null };

/**
 * The answer of `GET /api/status`; these names are stable. Times are ISO 8601 in UTC, `…Ms` milliseconds, `…Bytes` and
 * `bytes` bytes, null what is not known or not so.
 */
export interface Snapshot {
  readonly version: string;
  readonly site: string;
  /** What `/readyz` says; `stopped` when only the database was read, since no process answers. */
  readonly status: Readiness['status'] | 'stopped';
  /** Whether any pull can be answered. */
  readonly ready: boolean;
  /** What is wrong, for people. */
  readonly reasons: readonly string[];
  readonly startedAt: string | null;
  readonly uptimeMs: number | null;
  readonly replication: {
    /** `GEO_REPLICATION` and `GEO_STORE`. */
    readonly on: boolean;
    /** Rows by state; each is a tag, or a manifest without one. */
    readonly tags: Readonly<Record<RowState, number>>;
    /** Repositories that have rows, and how those do. */
    readonly repositories: RepositoryCounts;
    /** Pending rows by who asked; held removals, and those that wait for another tag or manifest, are among them. */
    readonly queue: Counts['queue'];
    /** Pending rows that wait for another tag or manifest. */
    readonly waiting: number;
    /** The age of the oldest event that is not worked off, and when that came; 0 and null when there is none. */
    readonly lagMs: number;
    readonly oldestEventAt: string | null;
    /** Body bytes that copies brought over. */
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
  /** `open` while a registry is taken for down; null in a stopped process. */
  readonly breakers: Readonly<Record<'primary' | 'secondary', 'open' | 'closed'>> | null;
  readonly spoolBytes: number | null;
}

/** What a running process knows beside the database. */
export interface Live {
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly checkReadiness: CheckReadiness;
  readonly replication: Pick<Replication, 'walks' | 'worker' | 'verification'>;
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
export type TakeSnapshot = (options?: { readonly asks?: boolean }) => Promise<Snapshot>;

const UNASKED = { status: 'ok', ready: true, reasons: [] } as const;
const STOPPED = { status: 'stopped', ready: false, reasons: ['no process of the proxy answers'] } as const;

/** A time as JSON has it. */
export function isoTime(time: number | undefined): string | null {
  return time === undefined ? null : new Date(time).toISOString();
}

/** Why removals wait, for people; a first start's suspension is told of where something may be removed at all. */
export async function toldSuspension(rows: Pick<RowStore, 'getFact'>, isOn: boolean): Promise<Suspension | null> {
  const suspension = await suspensionOf(rows);
  return suspension && (isOn || suspension.because === 'other primary') ? suspension : null;
}

/** The walk of a kind that runs, else its last one; null for none. */
export function runOf(progress: readonly Progress[], kind: Progress['kind']): Run | null {
  const found = progress.find((one) => one.kind === kind);
  if (!found) return null;
  const { startedAt, endedAt, repositories, repositoriesDone, repositoriesFailed, tags, marked, error = null } = found;
  return {
    startedAt: new Date(startedAt).toISOString(),
    endedAt: isoTime(endedAt),
    repositories,
    repositoriesDone,
    repositoriesFailed,
    tags,
    marked,
    error,
  };
}

/** The verification that runs, else the last one; null for none. */
export function verifyRunOf(progress: AuditProgress | undefined): VerifyRun | null {
  if (!progress) return null;
  const { kind: _, startedAt, endedAt, error = null, ...counts } = progress;
  return { startedAt: new Date(startedAt).toISOString(), endedAt: isoTime(endedAt), ...counts, error };
}

function breakersOf({ breakersOpen }: Live): Snapshot['breakers'] {
  const { primary, secondary } = breakersOpen();
  return { primary: primary ? 'open' : 'closed', secondary: secondary ? 'open' : 'closed' };
}

/** @see TakeSnapshot */
export function createSnapshot(deps: SnapshotDeps, { isOn, removalShare }: SnapshotOptions): TakeSnapshot {
  const { version, site, rows, live, clock = Date.now } = deps;

  function replicationOf(
    counts: Counts,
    repositories: RepositoryCounts,
    suspension: Suspension | null,
    now: number,
  ): Snapshot['replication'] {
    const { states, queue, waiting, oldestEventAt, bytes, verified, held, removalsLastDay, malformedEvents } = counts;
    const progress = live?.replication.walks.progress ?? [];
    return {
      on: isOn,
      tags: states,
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
        backfill: runOf(progress, 'backfill'),
        reconcile: runOf(progress, 'reconcile'),
        verify: verifyRunOf(live?.replication.verification.progress),
      },
    };
  }

  return async ({ asks = true } = {}) => {
    const now = clock();
    const [{ status, ready, reasons }, counts, repositories, suspension] = await Promise.all([
      live ? (asks ? live.checkReadiness() : UNASKED) : STOPPED,
      rows.counts(now),
      rows.repositoryCounts(),
      toldSuspension(rows, isOn),
    ]);
    return {
      version,
      site,
      status,
      ready,
      reasons,
      startedAt: isoTime(live?.startedAt),
      uptimeMs: live ? now - live.startedAt : null,
      replication: replicationOf(counts, repositories, suspension, now),
      damaged: counts.damagedBlobs,
      breakers: live ? breakersOf(live) : null,
      spoolBytes: live ? live.spoolBytes() : null,
    };
  };
}
