// Repositories as the admin API lists them, page by page, with the checksum by which GitLab's Geo compares sites.
import type { RepositoryConditions, RepositorySort, RepositorySummary } from '../replication/row-views.ts';
import type { ShownState } from '../replication/row.ts';
import type { RowStore } from '../replication/rows.ts';
import type { RepositoryFilter } from './row-listing.ts';
import { isoTime } from './snapshot.ts';

/** Which repositories are asked for, those after `after`. */
export interface RepositoryListQuery {
  readonly repositories?: RepositoryFilter;
  /** Whether one of the rows is failed. */
  readonly failed?: boolean;
  /** This repository, and all below it. */
  readonly group?: string;
  /** A part of the name. */
  readonly search?: string;
  /** A state that one of the rows has. */
  readonly state?: ShownState;
  readonly sort?: RepositorySort;
  /** The `next` of the page before. */
  readonly after?: string;
  /** From 1 to 1,000. */
  readonly limit: number;
}

/** A repository as JSON; the time is ISO 8601 in UTC, null what is not known. */
export interface ListedRepository {
  readonly name: string;
  /** Rows by state; each is a tag, a manifest without one, or `*` for all that the repository has. */
  readonly tags: Readonly<Record<ShownState, number>>;
  /** Those of all these rows that are tags: what the checksum is over. */
  readonly tagged: number;
  /** Synced rows whose blobs were read and hashed. */
  readonly verified: number;
  /** When one of them was last found the same at both sides. */
  readonly syncedAt: string | null;
  /**
   * SHA-256, in hex, over name and digest of the tags here, by name, as GitLab's Geo computes it; null unless every tag
   * that is known is synced: until then it cannot be the primary's.
   */
  readonly checksum: string | null;
}

/** One page; `next` is the `after` of the next one. A page may be short, or empty, and not the last. */
export interface RepositoryPage {
  readonly repositories: readonly ListedRepository[];
  readonly next: string | null;
  /** Those that match on all pages; null where they are not counted (a glob). */
  readonly total: number | null;
}

type Rows = Pick<RowStore, 'repositorySummaries' | 'checksum' | 'countRepositories'>;

/** What was found for a page. */
interface Found {
  readonly found: readonly RepositorySummary[];
  readonly next: string | null;
}

// A glob is matched here, not in the store: repositories that are read at once, and for one page.
const SCAN_PAGE = 1_000;
const SCAN_MAX = 10_000;

async function listed(rows: Rows, summary: RepositorySummary): Promise<ListedRepository> {
  const { repository, states, tags, verified, syncedAt } = summary;
  const checksum = (await rows.checksum(repository)) ?? null;
  return { name: repository, tags: states, tagged: tags, verified, syncedAt: isoTime(syncedAt), checksum };
}

function conditionsOf({ repositories, failed, group, search, state }: RepositoryListQuery): RepositoryConditions {
  return {
    ...(failed === undefined ? {} : { isFailed: failed }),
    ...(repositories?.exact === undefined ? {} : { repository: repositories.exact }),
    ...(group === undefined ? {} : { group }),
    ...(search === undefined ? {} : { search }),
    ...(state === undefined ? {} : { state }),
  };
}

/** A page in another order than by name: `after` is the number of those before it. */
async function sorted(rows: Rows, query: RepositoryListQuery): Promise<Found> {
  const { limit, sort = 'name', after = '0' } = query;
  const offset = /^\d{1,9}$/.test(after) ? Number(after) : 0;
  const page = await rows.repositorySummaries({ ...conditionsOf(query), sort, offset, limit: limit + 1 });
  return { found: page.slice(0, limit), next: page.length > limit ? String(offset + limit) : null };
}

/** As many of the summaries that match as a page has, by name. */
async function named(rows: Rows, query: RepositoryListQuery): Promise<Found> {
  const { repositories, after, limit } = query;
  const conditions = conditionsOf(query);
  const size = repositories && repositories.exact === undefined ? SCAN_PAGE : limit + 1;
  const found: RepositorySummary[] = [];
  let last = after;
  for (let scanned = 0; scanned < SCAN_MAX; scanned += size) {
    const from = last === undefined ? {} : { after: last };
    const page = await rows.repositorySummaries({ ...conditions, ...from, limit: size });
    for (const summary of page) {
      if (!repositories || repositories.matches(summary.repository)) {
        if (found.length === limit) return { found, next: last ?? null };
        found.push(summary);
      }
      last = summary.repository;
    }
    if (page.length < size) return { found, next: null };
  }
  return { found, next: last ?? null };
}

/** One page of the repositories that match. @throws StoreUnavailable */
export async function listRepositories(rows: Rows, query: RepositoryListQuery): Promise<RepositoryPage> {
  const { repositories: wanted, sort = 'name' } = query;
  const isGlob = wanted !== undefined && wanted.exact === undefined;
  // A glob is matched page by page, by name.
  const { found, next } = await (sort === 'name' || isGlob ? named : sorted)(rows, query);
  const total = isGlob ? null : await rows.countRepositories(conditionsOf(query));
  const repositories: ListedRepository[] = [];
  // One after the other: other reads come in between.
  for (const summary of found) repositories.push(await listed(rows, summary));
  return { repositories, next, total };
}
