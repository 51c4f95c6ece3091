// Pulls, traffic and transfers.
export type PullOrigin = 'memory' | 'local' | 'primary' | 'stale';

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
