// What newer servers answer beside the snapshot's older names, as the commands read it: types alone. A server of an
// earlier version leaves these out.
import type { Run, Snapshot, VerifyRun } from '../status/snapshot.ts';

/** One thing that is wrong or waits for a person; `info` is neither. */
export interface Problem {
  readonly severity: 'error' | 'warning' | 'info';
  readonly text: string;
  readonly advice: string;
}

/** One side as the server sees it; times are ISO 8601 in UTC. */
export interface RegistryState {
  readonly url: string;
  readonly up: boolean;
  readonly since: string | null;
  readonly latencyMs: number | null;
  readonly cause: string | null;
}

/** Pulls since some time; bytes, ratios from 0 to 1. */
export interface PullTotals {
  readonly requests: number;
  readonly bytes: number;
  readonly errors: number;
  readonly wanBytes: number;
  readonly wanSavedBytes: number;
  readonly hitRatioBytes: number | null;
}

/** What the snapshot of a newer server has beside {@link Snapshot}. */
export interface StatusAdditions {
  readonly problems: readonly Problem[];
  readonly registries: Readonly<Record<'primary' | 'secondary', RegistryState>> | null;
  readonly webhook: {
    readonly on: boolean;
    readonly lastCallAt: string | null;
    readonly lastResult: string | null;
  } | null;
  readonly spool: { readonly max: number } | null;
  readonly pulls: { readonly today: PullTotals } | null;
  readonly rate: {
    readonly rowsPerSecond: number;
    readonly bytesPerSecond: number;
    readonly timeLeftMs: number | null;
  } | null;
}

/** A snapshot of any version. */
export type AnySnapshot = Snapshot & Partial<StatusAdditions>;

/** How far a run is, as a newer server tells it. */
export interface RunProgress {
  readonly done: number;
  readonly total: number | null;
  readonly timeLeftMs: number | null;
}

/** A run of any version. */
export type AnyRun = (Run | VerifyRun) & Partial<RunProgress>;

/** One request of a client: an element of `GET /api/pulls`. */
export interface Pull {
  readonly id: number;
  readonly at: string;
  readonly method: string;
  readonly kind: string;
  readonly repository: string | null;
  readonly reference: string | null;
  readonly digest: string | null;
  readonly origin: string | null;
  readonly status: number;
  readonly bytes: number;
  readonly ms: number;
  readonly user: string | null;
  readonly client: string | null;
  readonly address: string | null;
  readonly cause: string | null;
}

/** A blob on its way from the primary: an element of `GET /api/transfers`. */
export interface Transfer {
  readonly digest: string;
  readonly repositories: readonly string[];
  readonly bytes: number;
  readonly size: number | null;
  readonly bytesPerSecond: number;
  readonly readers: number;
}
