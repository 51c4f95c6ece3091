// The judgement and the numbers of `GET /api/status`.
import type { PullTotals } from './pulls.ts';

export type Severity = 'error' | 'warning' | 'info';

export type RegistryName = 'primary' | 'secondary';

/** `recheck`: synced before, and queued or looked at again; none of the other states counts it. */
export type RowState = 'pending' | 'syncing' | 'synced' | 'recheck' | 'failed' | 'unsupported';

/** One thing that is wrong or waits for a person; the judgement is the list of them. */
export interface Problem {
  readonly code: string;
  /** Both `error` and `warning` make the status `degraded`. */
  readonly severity: Severity;
  readonly count?: number;
  readonly text: string;
  readonly advice: string;
  /** A place of the page: `#/attention`. */
  readonly link?: string;
}

export interface RegistryState {
  readonly url: string;
  readonly up: boolean;
  readonly since: string | null;
  readonly latencyMs: number | null;
  /** Why it is down, in words. */
  readonly cause: string | null;
  readonly about: string | null;
}

/** A backfill, compare run or verification; which of the counts there are depends on its kind. */
export interface Run {
  readonly startedAt: string;
  /** null while it runs. */
  readonly endedAt: string | null;
  readonly error: string | null;
  /** Both count the same: tags for backfill and compare, tags and manifests for verify. */
  readonly done: number;
  readonly total: number | null;
  readonly ratePerSecond: number | null;
  readonly timeLeftMs: number | null;
  readonly repositories: number;
  readonly repositoriesFailed?: number;
  readonly marked: number;
  readonly damaged?: number;
  readonly bytes?: number;
}

export type RunKind = 'backfill' | 'reconcile' | 'verify';

export interface Suspension {
  readonly because: 'first start' | 'other primary';
  readonly isCompared: boolean;
}

/** `GET /api/status`, as far as the page reads it. */
export interface Snapshot {
  readonly version: string;
  readonly site: string;
  readonly status: string;
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly problems: readonly Problem[];
  readonly startedAt: string | null;
  readonly uptimeMs: number | null;
  readonly registries: Readonly<Record<RegistryName, RegistryState>> | null;
  readonly webhook: {
    readonly on: boolean;
    readonly path: string;
    readonly lastCallAt: string | null;
    readonly lastResult: string | null;
    readonly calls: number;
    readonly refused: number;
  } | null;
  readonly spool: { readonly bytes: number; readonly max: number; readonly diskFreeBytes: number | null } | null;
  readonly pulls: { readonly today: PullTotals; readonly sinceStart: PullTotals } | null;
  readonly rate: {
    readonly rowsPerSecond: number;
    readonly bytesPerSecond: number;
    readonly timeLeftMs: number | null;
  } | null;
  readonly replication: {
    readonly on: boolean;
    readonly tags: Readonly<Record<RowState, number>>;
    readonly repositories: { readonly known: number; readonly synced: number; readonly failed: number };
    readonly queue: Readonly<Record<'onDemand' | 'event' | 'reconcile' | 'backfill', number>>;
    readonly lagMs: number;
    readonly bytes: number;
    readonly verified: number;
    readonly removals: {
      readonly held: number;
      readonly lastDay: number;
      readonly limit: number;
      readonly suspension: Suspension | null;
    };
    readonly worker: {
      readonly running: number;
      readonly pausedUntil: string | null;
      readonly pausedBecause: string | null;
    };
    readonly runs: Readonly<Record<RunKind, Run | null>>;
    readonly malformedEvents: number;
  };
  readonly damaged: number;
}
