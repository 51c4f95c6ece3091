// Pulls, traffic and transfers.

/** Where an answer's content came from; `primary` is read through, `stale` the local copy for want of the primary. */
export type PullOrigin = 'memory' | 'local' | 'primary' | 'stale';

/** What was asked for; `push` is a refused one. */
export type PullKind = 'manifest' | 'blob' | 'tags' | 'referrers' | 'catalog' | 'push';

/** One request of a client, as `GET /api/pulls` and the event `pull` tell it. */
export interface Pull {
  readonly id: number;
  readonly at: string;
  readonly method: string;
  readonly kind: PullKind;
  readonly repository: string | null;
  readonly reference: string | null;
  readonly digest: string | null;
  /** null where the request failed. */
  readonly origin: PullOrigin | null;
  readonly status: number;
  /** Body bytes to the client. */
  readonly bytes: number;
  readonly ms: number;
  /** To the first byte of the answer. */
  readonly ttfbMs: number | null;
  /** The token's subject, or GitLab's own claim. */
  readonly user: string | null;
  /** The client's product: `docker/28.2`. */
  readonly client: string | null;
  readonly address: string | null;
  /** Why, on 4xx, 5xx, stale answers and answers that were not taken to their end. */
  readonly cause: string | null;
}

/** `GET /api/pulls?limit=`: newest first. */
export interface Pulls {
  readonly pulls: readonly Pull[];
}

/** What is counted of all pulls since some moment. */
export interface PullTotals {
  readonly requests: number;
  readonly bytes: number;
  readonly byOrigin: Readonly<Record<PullOrigin, { readonly requests: number; readonly bytes: number }>>;
  readonly errors: number;
  /** Body bytes that crossed from the primary, for clients and for replication. */
  readonly wanBytes: number;
  /** Bytes to clients that did not have to cross: from memory and the local registry, and of shared transfers. */
  readonly wanSavedBytes: number;
  /** From 0 to 1: answers, and their bytes, that came from here; null before the first one. */
  readonly hitRatioRequests: number | null;
  readonly hitRatioBytes: number | null;
  readonly ttfbP50Ms: number | null;
  readonly ttfbP99Ms: number | null;
}

/** One step of a window; `at` is its beginning. */
export interface TrafficPoint {
  readonly at: string;
  readonly requests: Readonly<Record<PullOrigin | 'error', number>>;
  readonly bytes: Readonly<Record<PullOrigin, number>>;
  readonly wanBytes: number;
  readonly ttfbP50Ms: number | null;
  readonly ttfbP99Ms: number | null;
}

export type TrafficWindow = 'hour' | 'day';

/** `GET /api/traffic?window=`: points of a window, oldest first, without gaps: 60 minutes, or 96 quarters of an hour. */
export interface Traffic {
  readonly window: TrafficWindow;
  readonly stepMs: number;
  readonly points: readonly TrafficPoint[];
}

/** A blob on its way from the primary into the spool. */
export interface Transfer {
  readonly digest: string;
  readonly repositories: readonly string[];
  /** Bytes that have come, and that the blob has; null until the primary has told. */
  readonly bytes: number;
  readonly size: number | null;
  readonly bytesPerSecond: number;
  /** To the primary. */
  readonly connections: number;
  /** Clients that read it now. */
  readonly readers: number;
  readonly priority: 'on-demand' | 'ahead' | 'background';
  readonly startedAt: string;
  /** `waiting` for a slot or the primary's headers; `flying`; `storing`: whole, and not in the secondary yet. */
  readonly state: 'waiting' | 'flying' | 'storing';
}

/** `GET /api/transfers`, and the event `transfers`. */
export interface Transfers {
  readonly transfers: readonly Transfer[];
}
