// Rows summed up by repository. Everything but checksums comes from indexes.
import type { SQLInputValue } from 'node:sqlite';
import { repositoryChecksum } from '../../../checksum.ts';
import type {
  RepositoryConditions,
  RepositoryCounts,
  RepositoryQuery,
  RepositorySort,
  RepositorySummary,
} from '../../../row-views.ts';
import { WHOLE_REPOSITORY, type Row, type ShownState } from '../../../row.ts';
import type { Prepare } from '../statements.ts';
import type { Columns } from './row.ts';

const STATES: readonly ShownState[] = ['pending', 'syncing', 'synced', 'recheck', 'failed', 'unsupported'];

// No tag has a colon, every digest has one.
const IS_TAG = `INSTR(reference, ':') = 0 AND reference <> '${WHOLE_REPOSITORY}'`;

/** Counts by state for people, a column each. */
export const STATE_COLUMNS = STATES.map((state) => `COUNT(*) FILTER (WHERE shown_state = '${state}') AS ${state}`).join(
  ', ',
);

/** The counts of {@link STATE_COLUMNS}. */
export function statesOf(columns: Columns): Record<ShownState, number> {
  return Object.fromEntries(STATES.map((state) => [state, Number(columns[state])])) as Record<ShownState, number>;
}

function summaryOf(columns: Columns): RepositorySummary {
  return {
    repository: String(columns['repository']),
    states: statesOf(columns),
    tags: Number(columns['tags']),
    verified: Number(columns['verified']),
    ...(columns['synced_at'] === null ? {} : { syncedAt: Number(columns['synced_at']) }),
  };
}

interface Conditions {
  readonly where: string;
  readonly having: string;
  readonly values: SQLInputValue[];
}

function conditionsOf(query: RepositoryConditions & Pick<RepositoryQuery, 'after'>): Conditions {
  const { repository, group, search, state, isFailed, after } = query;
  const conditions = ['TRUE'];
  const values: SQLInputValue[] = [];
  const add = (condition: string, ...given: SQLInputValue[]): void => {
    conditions.push(condition);
    values.push(...given);
  };
  if (repository !== undefined) add('repository = ?', repository);
  // `0` is the byte after `/`.
  if (group !== undefined)
    add('(repository = ? OR (repository > ? AND repository < ?))', group, `${group}/`, `${group}0`);
  if (search !== undefined) add('INSTR(repository, ?) > 0', search);
  if (after !== undefined) add('repository > ?', after);
  if (isFailed !== undefined) {
    add(`repository ${isFailed ? '' : 'NOT '}IN (SELECT repository FROM rows WHERE state = 'failed')`);
  }
  const having = state === undefined ? 'TRUE' : `COUNT(*) FILTER (WHERE shown_state = '${state}') > 0`;
  return { where: conditions.join(' AND '), having, values };
}

const ORDERS: Readonly<Record<RepositorySort, string>> = {
  name: 'repository',
  failed: 'failed DESC, repository',
  pending: 'pending DESC, repository',
  syncedAt: 'synced_at DESC, repository',
};

/** @see RowStore.repositorySummaries */
export function repositorySummaries(prepare: Prepare, query: RepositoryQuery): readonly RepositorySummary[] {
  const { sort = 'name', offset = 0, limit } = query;
  const { where, having, values } = conditionsOf(query);
  // Tags are counted of those repositories alone that are on the page.
  const summaries = prepare(`
    WITH page AS (
      SELECT repository, ${STATE_COLUMNS},
        COUNT(verified_at) FILTER (WHERE state = 'synced') AS verified,
        MAX(synced_at) AS synced_at
      FROM rows INDEXED BY rows_repository
      WHERE ${where} GROUP BY repository HAVING ${having} ORDER BY ${ORDERS[sort]} LIMIT ? OFFSET ?
    )
    SELECT page.*, (SELECT COUNT(*) FROM rows WHERE rows.repository = page.repository AND ${IS_TAG}) AS tags
    FROM page ORDER BY ${ORDERS[sort]}`);
  return summaries.all(...values, limit, offset).map(summaryOf);
}

/** @see RowStore.countRepositories */
export function countRepositories(prepare: Prepare, query: RepositoryConditions): number {
  const { where, having, values } = conditionsOf(query);
  const counted = prepare(`
    SELECT COUNT(*) AS count FROM (
      SELECT repository FROM rows INDEXED BY rows_repository WHERE ${where} GROUP BY repository HAVING ${having}
    )`);
  return Number(counted.get(...values)?.['count']);
}

const COUNTS = `
  WITH
    damaged AS (SELECT DISTINCT repository FROM blobs WHERE is_damaged),
    summed AS (
      SELECT
        COUNT(*) = COUNT(*) FILTER (WHERE state = 'synced') AS is_synced,
        COUNT(*) FILTER (WHERE state = 'failed') > 0 AS is_failed,
        COUNT(*) = COUNT(verified_at) AS is_read,
        repository IN damaged AS is_damaged
      FROM rows INDEXED BY rows_repository GROUP BY repository
    )
  SELECT
    COUNT(*) AS known,
    COUNT(*) FILTER (WHERE is_synced) AS synced,
    COUNT(*) FILTER (WHERE is_failed) AS failed,
    COUNT(*) FILTER (WHERE is_synced AND is_read AND NOT is_damaged) AS verified,
    COUNT(*) FILTER (WHERE is_damaged) AS damaged,
    COUNT(*) FILTER (WHERE is_synced OR is_damaged) AS verifiable
  FROM summed`;

/** @see RowStore.repositoryCounts */
export function repositoryCounts(prepare: Prepare): RepositoryCounts {
  return prepare(COUNTS).get() as unknown as RepositoryCounts;
}

// A row for the whole repository may stand for tags that are not known yet.
const IS_BEHIND = `
  SELECT 1 FROM rows
  WHERE repository = ? AND state <> 'synced' AND (${IS_TAG} OR reference = '${WHOLE_REPOSITORY}') LIMIT 1`;

const TAGS = `SELECT reference, local_digest AS localDigest FROM rows WHERE repository = ? AND ${IS_TAG}`;

/** @see RowStore.checksum */
export function checksum(prepare: Prepare, repository: string): string | undefined {
  if (prepare(IS_BEHIND).get(repository) !== undefined) return undefined;
  return repositoryChecksum(prepare(TAGS).all(repository) as unknown as Pick<Row, 'reference' | 'localDigest'>[]);
}
