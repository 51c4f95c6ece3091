// Rows summed up by repository. Everything but checksums comes from indexes.
import type { SQLInputValue } from 'node:sqlite';
import { repositoryChecksum } from '../../../checksum.ts';
import {
  WHOLE_REPOSITORY,
  type RepositoryCounts,
  type RepositoryQuery,
  type RepositorySummary,
  type Row,
  type RowState,
} from '../../../rows.ts';
import type { Prepare } from '../statements.ts';
import type { Columns } from './row.ts';

const STATES: readonly RowState[] = ['pending', 'syncing', 'synced', 'failed', 'unsupported'];

// No tag has a colon, every digest has one.
const IS_TAG = `INSTR(reference, ':') = 0 AND reference <> '${WHOLE_REPOSITORY}'`;

const SUMMED = `
  ${STATES.map((state) => `COUNT(*) FILTER (WHERE state = '${state}') AS ${state}`).join(', ')},
  (SELECT COUNT(*) FROM rows AS tag WHERE tag.repository = rows.repository AND ${IS_TAG}) AS tags,
  COUNT(verified_at) FILTER (WHERE state = 'synced') AS verified,
  MAX(synced_at) AS synced_at`;

function summaryOf(columns: Columns): RepositorySummary {
  const states = Object.fromEntries(STATES.map((state) => [state, Number(columns[state])]));
  return {
    repository: String(columns['repository']),
    states: states as Record<RowState, number>,
    tags: Number(columns['tags']),
    verified: Number(columns['verified']),
    ...(columns['synced_at'] === null ? {} : { syncedAt: Number(columns['synced_at']) }),
  };
}

/** @see RowStore.repositorySummaries */
export function repositorySummaries(prepare: Prepare, query: RepositoryQuery): readonly RepositorySummary[] {
  const { repository, isFailed, after, limit } = query;
  const conditions = ['TRUE'];
  const values: SQLInputValue[] = [];
  if (repository !== undefined) {
    conditions.push('repository = ?');
    values.push(repository);
  }
  if (after !== undefined) {
    conditions.push('repository > ?');
    values.push(after);
  }
  if (isFailed !== undefined) {
    conditions.push(`repository ${isFailed ? '' : 'NOT '}IN (SELECT repository FROM rows WHERE state = 'failed')`);
  }
  const summaries = prepare(`
    SELECT repository, ${SUMMED} FROM rows INDEXED BY rows_repository
    WHERE ${conditions.join(' AND ')} GROUP BY repository ORDER BY repository LIMIT ?`);
  return summaries.all(...values, limit).map(summaryOf);
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
