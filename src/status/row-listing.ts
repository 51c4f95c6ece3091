// Rows as the admin API lists them, page by page.
import { PRIORITY, shownStateOf, type Row, type ShownState } from '../replication/row.ts';
import type { RowStore } from '../replication/rows.ts';
import { isoTime } from './snapshot.ts';

/** Which repositories are meant; `exact` where it can only be one. */
export interface RepositoryFilter {
  readonly text: string;
  readonly matches: (name: string) => boolean;
  readonly exact?: string;
  /** One tag or manifest of the repository that is `exact`. */
  readonly reference?: string;
}

/** Which rows are asked for, by id, those after `after`. */
export interface RowQuery {
  readonly states?: readonly ShownState[];
  /** Removals that wait for `confirm-removals`, or were confirmed and are not carried out yet. */
  readonly held?: boolean;
  /** Rows that wait for another tag or manifest. */
  readonly waiting?: boolean;
  readonly repositories?: RepositoryFilter;
  /** What rows fail for, as the groups of `GET /api/attention` name it. */
  readonly cause?: string;
  readonly after?: number;
  /** From 1 to 1,000. */
  readonly limit: number;
}

/** A row as JSON; times are ISO 8601 in UTC, null what is not known or not so. */
export interface ListedRow {
  readonly id: number;
  readonly repository: string;
  /** A tag, a digest, or `*` for all that the repository has. */
  readonly reference: string;
  readonly state: ShownState;
  readonly priority: keyof typeof PRIORITY;
  readonly attempts: number;
  readonly nextAttemptAt: string | null;
  readonly error: string | null;
  readonly primaryDigest: string | null;
  readonly localDigest: string | null;
  readonly eventAt: string | null;
  readonly markedAt: string;
  readonly syncedAt: string | null;
  readonly verifiedAt: string | null;
  readonly bytes: number;
  /** Its removal was held by the limit, and whether a person has confirmed it since. */
  readonly held: boolean;
  readonly confirmed: boolean;
  /** What a pending row waits for: a tag or digest of its repository, or `*` for any change of it. */
  readonly waitsFor: string | null;
}

/** One page; `next` is the `after` of the next one. A page may be short, or empty, and not the last. */
export interface RowPage {
  readonly rows: readonly ListedRow[];
  readonly next: number | null;
}

// A glob is matched here, not in the store: rows that are read at once, and for one page.
const SCAN_PAGE = 1_000;
const SCAN_MAX = 10_000;

const PRIORITY_NAMES = Object.keys(PRIORITY) as (keyof typeof PRIORITY)[];

/** A row as the API tells it. */
export function listedRow(row: Row): ListedRow {
  const isWaiting = row.state === 'pending' || row.state === 'failed';
  return {
    id: row.id,
    repository: row.repository,
    reference: row.reference,
    state: shownStateOf(row),
    priority: PRIORITY_NAMES[row.priority]!,
    attempts: row.attempts,
    nextAttemptAt: isWaiting ? isoTime(row.nextAttempt) : null,
    error: row.lastError ?? null,
    primaryDigest: row.primaryDigest ?? null,
    localDigest: row.localDigest ?? null,
    eventAt: isoTime(row.eventAt),
    markedAt: new Date(row.markedAt).toISOString(),
    syncedAt: isoTime(row.syncedAt),
    verifiedAt: isoTime(row.verifiedAt),
    bytes: row.bytes,
    held: row.isHeld,
    confirmed: row.isConfirmed,
    waitsFor: row.waitsFor ?? null,
  };
}

/** One page of the rows that match. @throws StoreUnavailable */
export async function listRows(rows: Pick<RowStore, 'list'>, query: RowQuery): Promise<RowPage> {
  const { states, held, waiting, cause, repositories, limit } = query;
  const conditions = {
    ...(states ? { shownStates: states } : {}),
    ...(cause === undefined ? {} : { cause }),
    ...(held === undefined ? {} : { isHeld: held }),
    ...(waiting === undefined ? {} : { isWaiting: waiting }),
  };
  let after = query.after ?? 0;
  if (!repositories || repositories.exact !== undefined) {
    const repository = repositories?.exact === undefined ? {} : { repository: repositories.exact };
    const page = await rows.list({ ...conditions, ...repository, after, limit: limit + 1 });
    const shown = page.slice(0, limit);
    return { rows: shown.map(listedRow), next: page.length > limit ? shown.at(-1)!.id : null };
  }
  const found: ListedRow[] = [];
  for (let scanned = 0; scanned < SCAN_MAX; scanned += SCAN_PAGE) {
    const page = await rows.list({ ...conditions, after, limit: SCAN_PAGE });
    for (const row of page) {
      if (repositories.matches(row.repository)) {
        if (found.length === limit) return { rows: found, next: after };
        found.push(listedRow(row));
      }
      after = row.id;
    }
    if (page.length < SCAN_PAGE) return { rows: found, next: null };
  }
  return { rows: found, next: after };
}
