// What the admin listener answers, as the page and scripts read it: types alone, which import nothing. Times are ISO 8601
// in UTC, `…Ms` milliseconds, bytes plain numbers; null what is not known or not so.

export type Severity = 'error' | 'warning' | 'info';
export type RegistryName = 'primary' | 'secondary';
export type PullOrigin = 'memory' | 'local' | 'primary' | 'stale';
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

export interface PullTotals {
  readonly requests: number;
  readonly bytes: number;
  readonly byOrigin: Readonly<Record<PullOrigin, { readonly requests: number; readonly bytes: number }>>;
  readonly errors: number;
  readonly wanBytes: number;
  readonly wanSavedBytes: number;
  /** From 0 to 1. */
  readonly hitRatioRequests: number | null;
  readonly hitRatioBytes: number | null;
  readonly ttfbP50Ms: number | null;
  readonly ttfbP99Ms: number | null;
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

/** One point of a ring: a minute, or 15 of them. */
export interface TrafficPoint {
  readonly at: string;
  readonly requests: Readonly<Record<PullOrigin | 'error', number>>;
  readonly bytes: Readonly<Record<PullOrigin, number>>;
  readonly wanBytes: number;
  readonly ttfbP50Ms: number | null;
  readonly ttfbP99Ms: number | null;
}
export type TrafficWindow = 'hour' | 'day';
/** `GET /api/traffic?window=`: oldest first, without gaps. */
export interface Traffic {
  readonly window: TrafficWindow;
  readonly stepMs: number;
  readonly points: readonly TrafficPoint[];
}

/** One request of a client, as `GET /api/pulls` and the event `pull` tell it. */
export interface Pull {
  readonly id: number;
  readonly at: string;
  readonly method: string;
  readonly kind: string;
  readonly repository: string | null;
  readonly reference: string | null;
  readonly digest: string | null;
  readonly origin: PullOrigin | null;
  readonly status: number;
  readonly bytes: number;
  readonly ms: number;
  readonly ttfbMs: number | null;
  readonly user: string | null;
  readonly client: string | null;
  readonly address: string | null;
  readonly cause: string | null;
}

/** `GET /api/pulls?limit=`: newest first. */
export interface Pulls {
  readonly pulls: readonly Pull[];
}

/** A blob on its way from the primary. */
export interface Transfer {
  readonly digest: string;
  readonly repositories: readonly string[];
  readonly bytes: number;
  readonly size: number | null;
  readonly bytesPerSecond: number;
  readonly connections: number;
  readonly readers: number;
  readonly priority: 'on-demand' | 'ahead' | 'background';
  readonly startedAt: string;
  readonly state: 'waiting' | 'flying' | 'storing';
}

/** `GET /api/transfers`, and the event `transfers`. */
export interface Transfers {
  readonly transfers: readonly Transfer[];
}

/** One level of the tree; the counts are of all below a child. */
export interface Group {
  readonly path: string;
  readonly isRepository: boolean;
  readonly hasChildren: boolean;
  readonly tags: Readonly<Record<RowState, number>>;
}
export interface Groups {
  readonly parent: string;
  readonly children: readonly Group[];
  readonly next: string | null;
}

export interface ListedRepository {
  readonly name: string;
  readonly tags: Readonly<Record<RowState, number>>;
  readonly tagged: number;
  readonly verified: number;
  readonly syncedAt: string | null;
}
/** `total` is what matches the query on all pages; null where that is not counted. */
export interface RepositoryPage {
  readonly repositories: readonly ListedRepository[];
  readonly next: string | null;
  readonly total: number | null;
}

/** A tag, a manifest without one (`reference` is a digest), or `*` for all that the repository has. */
export interface ListedRow {
  readonly id: number;
  readonly repository: string;
  readonly reference: string;
  readonly state: RowState;
  readonly attempts: number;
  readonly nextAttemptAt: string | null;
  /** The last error; it stays while the row is tried again. */
  readonly error: string | null;
  readonly primaryDigest: string | null;
  readonly localDigest: string | null;
  readonly markedAt: string;
  readonly syncedAt: string | null;
  readonly verifiedAt: string | null;
  readonly held: boolean;
  readonly confirmed: boolean;
}
export interface RowPage {
  readonly rows: readonly ListedRow[];
  readonly next: number | null;
}

/** A row of `GET /api/repository`. */
export interface ListedTag extends ListedRow {
  readonly lastPulledAt: string | null;
  readonly size: number | null;
  readonly platforms: readonly string[];
}
export interface Repository {
  readonly name: string;
  readonly tags: Readonly<Record<RowState, number>>;
  readonly syncedAt: string | null;
  readonly rows: readonly ListedTag[];
  readonly next: number | null;
}

export interface ImageSide {
  readonly digest: string | null;
  readonly state: 'found' | 'missing' | 'refused' | 'unreachable';
  readonly cause: string | null;
}
export type BlobState = 'here' | 'missing' | 'damaged' | 'unknown';
/** `GET /api/image?repository=…&reference=…`: both registries are asked now. */
export interface Image {
  readonly repository: string;
  readonly reference: string;
  readonly pull: string;
  readonly row: ListedRow | null;
  readonly primary: ImageSide;
  readonly secondary: ImageSide;
  readonly manifest: {
    readonly digest: string;
    readonly mediaType: string;
    readonly size: number;
    readonly json: string;
  } | null;
  readonly platforms: readonly {
    readonly platform: string;
    readonly digest: string;
    readonly size: number | null;
    readonly here: boolean | null;
  }[];
  readonly layers: readonly {
    readonly digest: string;
    readonly mediaType: string;
    readonly size: number | null;
    readonly local: BlobState;
  }[];
  readonly referrers: readonly {
    readonly digest: string;
    readonly artifactType: string;
    readonly what: string;
    readonly here: boolean | null;
  }[];
}

export type DamageKind = 'damaged-here' | 'missing-here' | 'missing-at-primary';
export interface Damage {
  readonly repository: string;
  readonly digest: string;
  readonly foundAt: string;
  readonly kind: DamageKind;
  readonly file: string;
  readonly advice: string;
}
export interface CauseGroup {
  readonly cause: string;
  readonly kind: string;
  readonly count: number;
  readonly advice: string;
  /** The first ones; all by `GET /api/replication?cause=`. */
  readonly sample: readonly ListedRow[];
}
/** `GET /api/attention`. */
export interface Attention {
  readonly groups: readonly CauseGroup[];
  readonly damaged: readonly Damage[];
  readonly held: {
    readonly count: number;
    readonly rows: readonly ListedRow[];
    readonly suspension: Suspension | null;
  };
  readonly malformed: readonly { readonly at: string; readonly reason: string; readonly body: string }[];
}

export interface Finding {
  readonly check: string;
  readonly level: 'ok' | 'warning' | 'error' | 'skipped';
  readonly text: string;
  readonly advice: string | null;
}

/** `GET /api/session`, open to all. */
export interface Session {
  /** A token is set, and this request did not carry it. */
  readonly needsLogin: boolean;
  /** This request was admitted by the cookie, which `POST /api/logout` ends. */
  readonly canLogout: boolean;
  readonly site: string;
  readonly version: string;
}

/** What each action answers. */
export interface ActionAnswers {
  readonly retry: { readonly changed: number };
  readonly verify: { readonly started: boolean };
  readonly backfill: { readonly started: boolean };
  readonly 'confirm-removals': { readonly confirmed: number; readonly suspended: boolean };
  readonly 'clear-damaged': { readonly cleared: number };
}
export type ActionName = keyof ActionAnswers;
