// Repositories as the admin API lists them, page by page, with the checksum by which GitLab's Geo compares sites.
import type { RepositoryQuery, RepositorySummary, RowState, RowStore } from '../replication/rows.ts';
import type { RepositoryFilter } from './row-listing.ts';
import { isoTime } from './snapshot.ts';

/** Which repositories are asked for, by name, those after `after`. */
export interface RepositoryListQuery {
  readonly repositories?: RepositoryFilter;
  /** Whether one of the rows is failed. */
  readonly failed?: boolean;
  readonly after?: string;
  /** From 1 to 1,000. */
  readonly limit: number;
}

/** A repository as JSON; the time is ISO 8601 in UTC, null what is not known. */
export interface ListedRepository {
  readonly name: string;
  /** Rows by state; each is a tag, a manifest without one, or `*` for all that the repository has. */
  readonly tags: Readonly<Record<RowState, number>>;
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
}

type Rows = Pick<RowStore, 'repositorySummaries' | 'checksum'>;

// A glob is matched here, not in the store: repositories that are read at once, and for one page.
const SCAN_PAGE = 1_000;
const SCAN_MAX = 10_000;

async function listed(rows: Rows, summary: RepositorySummary): Promise<ListedRepository> {
  const { repository, states, tags, verified, syncedAt } = summary;
  const checksum = (await rows.checksum(repository)) ?? null;
  return { name: repository, tags: states, tagged: tags, verified, syncedAt: isoTime(syncedAt), checksum };
}

/** As many of the summaries that match as a page has, and the `after` of the next one. */
async function summariesOf(
  rows: Rows,
  query: RepositoryListQuery,
): Promise<{ found: readonly RepositorySummary[]; next: string | null }> {
  const { repositories, failed, after, limit } = query;
  const conditions: Partial<RepositoryQuery> = failed === undefined ? {} : { isFailed: failed };
  const exact = repositories?.exact === undefined ? {} : { repository: repositories.exact };
  const size = repositories && repositories.exact === undefined ? SCAN_PAGE : limit + 1;
  const found: RepositorySummary[] = [];
  let last = after;
  for (let scanned = 0; scanned < SCAN_MAX; scanned += size) {
    const from = last === undefined ? {} : { after: last };
    const page = await rows.repositorySummaries({ ...conditions, ...exact, ...from, limit: size });
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
  const { found, next } = await summariesOf(rows, query);
  const repositories: ListedRepository[] = [];
  // One after the other: other reads come in between.
  for (const summary of found) repositories.push(await listed(rows, summary));
  return { repositories, next };
}
