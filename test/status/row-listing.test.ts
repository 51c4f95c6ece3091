import { expect, test } from 'vitest';
import { parseRepositoryFilter } from '../../src/config/repository-filter.ts';
import type { RowFilter } from '../../src/replication/row-views.ts';
import type { Row } from '../../src/replication/row.ts';
import { listRows, type RowPage, type RowQuery } from '../../src/status/row-listing.ts';

// Many rows in memory: what is tested is how pages are put together, and how much is read for one.
function rowsOf(count: number, repositoryOf: (id: number) => string) {
  const asked: RowFilter[] = [];
  const list = async (filter: RowFilter): Promise<readonly Row[]> => {
    asked.push(filter);
    const { after = 0, limit = Infinity } = filter;
    const length = Math.max(0, Math.min(limit, count - after));
    return Array.from({ length }, (_, nth) => rowOf(after + nth + 1, repositoryOf(after + nth + 1)));
  };
  return { list, asked };
}

function rowOf(id: number, repository: string): Row {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const times = { nextAttempt: now, markedAt: now };
  const rest = { generation: 1, claim: 1, attempts: 2, bytes: 3, isHeld: false, isConfirmed: false, ...times };
  return { id, repository, reference: `v${id}`, state: 'failed', priority: 1, ...rest };
}

async function allPages(list: (query: RowQuery) => Promise<RowPage>, query: RowQuery): Promise<RowPage[]> {
  const pages: RowPage[] = [];
  for (let after: number | null = 0; after !== null; after = pages.at(-1)!.next) {
    pages.push(await list({ ...query, after }));
  }
  return pages;
}

test.each([1, 3, 10, 11])('pages of %d lead to every row once', async (limit) => {
  const pages = await allPages(
    (query) =>
      listRows(
        rowsOf(10, () => 'a/b'),
        query,
      ),
    { limit },
  );
  expect(pages.flatMap((page) => page.rows.map(({ id }) => id))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(pages).toHaveLength(Math.ceil(10 / limit));
});

test('one repository, states and held ones are asked of the store', async () => {
  const rows = rowsOf(1, () => 'a/b');
  await listRows(rows, { states: ['failed'], held: true, repositories: parseRepositoryFilter('a/b'), limit: 5 });
  expect(rows.asked).toEqual([{ shownStates: ['failed'], isHeld: true, repository: 'a/b', after: 0, limit: 6 }]);
});

test('pages of a glob lead to every row that matches once', async () => {
  const rows = rowsOf(2_500, (id) => (id % 7 === 0 ? 'group/app' : 'other/app'));
  const query = { repositories: parseRepositoryFilter('group/*'), limit: 100 };
  const pages = await allPages((page) => listRows(rows, page), query);
  const ids = pages.flatMap((page) => page.rows.map(({ id }) => id));
  expect(ids).toEqual(Array.from({ length: 357 }, (_, nth) => (nth + 1) * 7));
  expect(pages.slice(0, -1).every((page) => page.rows.length === 100)).toBe(true);
});

test('a glob that matches little reads a bounded number of rows for a page, and goes on with the next', async () => {
  const rows = rowsOf(25_000, (id) => (id === 24_000 ? 'group/app' : 'other/app'));
  const query = { repositories: parseRepositoryFilter('group/*'), limit: 100 };
  expect(await listRows(rows, query)).toEqual({ rows: [], next: 10_000 });
  expect(rows.asked).toHaveLength(10);
  const pages = await allPages((page) => listRows(rows, page), query);
  expect(pages.flatMap((page) => page.rows.map(({ id }) => id))).toEqual([24_000]);
});

test('a row is JSON: ISO times, names for priorities, null for what is not known', async () => {
  const { rows } = await listRows(
    rowsOf(1, () => 'a/b'),
    { limit: 1 },
  );
  expect(rows).toEqual([
    {
      id: 1,
      repository: 'a/b',
      reference: 'v1',
      state: 'failed',
      priority: 'event',
      attempts: 2,
      nextAttemptAt: '2026-01-01T00:00:00.000Z',
      error: null,
      primaryDigest: null,
      localDigest: null,
      eventAt: null,
      markedAt: '2026-01-01T00:00:00.000Z',
      syncedAt: null,
      verifiedAt: null,
      bytes: 3,
      held: false,
      confirmed: false,
      waitsFor: null,
    },
  ]);
});
