// One level of the tree of groups and repositories, summed up from an index.
import type { GroupSummary } from '../../../row-views.ts';
import { STATE_COLUMNS, statesOf } from './repositories.ts';
import type { Prepare } from '../statements.ts';

// The first segment below the parent. `0` is the byte after `/`.
const GROUPS = `
  WITH below AS (
    SELECT *, INSTR(rest, '/') AS slash
    FROM (
      SELECT state, shown_state, SUBSTR(repository, :start) AS rest
      FROM rows INDEXED BY rows_repository
      WHERE :parent = '' OR (repository > :parent || '/' AND repository < :parent || '0')
    )
  )
  SELECT
    CASE slash WHEN 0 THEN rest ELSE SUBSTR(rest, 1, slash - 1) END AS segment,
    MAX(slash = 0) AS is_repository,
    MAX(slash > 0) AS has_children,
    ${STATE_COLUMNS}
  FROM below GROUP BY segment HAVING segment > :after ORDER BY segment LIMIT :limit`;

/** @see RowStore.groups */
export function groups(prepare: Prepare, parent: string, limit: number, after = ''): readonly GroupSummary[] {
  const prefix = parent === '' ? '' : `${parent}/`;
  const start = [...prefix].length + 1;
  const last = after.startsWith(prefix) ? after.slice(prefix.length) : '';
  const found = prepare(GROUPS).all({ parent, start, after: last, limit });
  return found.map((columns) => ({
    path: prefix + String(columns['segment']),
    isRepository: columns['is_repository'] === 1,
    hasChildren: columns['has_children'] === 1,
    states: statesOf(columns),
  }));
}
