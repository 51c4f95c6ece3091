import { expect, test } from 'vitest';
import { parseRepositoryFilter } from '../../src/config/repository-filter.ts';
import type { RepositoryQuery, RepositorySummary } from '../../src/replication/row-views.ts';
import { listRepositories, type RepositoryListQuery } from '../../src/status/repository-listing.ts';

const states = { pending: 0, syncing: 0, synced: 1, recheck: 0, failed: 0, unsupported: 0 };

// Many repositories in memory: what is tested is how pages are put together, and how much is read for one.
function rowsOf(names: readonly string[]) {
  const asked: RepositoryQuery[] = [];
  const summed: string[] = [];
  const repositorySummaries = async (query: RepositoryQuery): Promise<readonly RepositorySummary[]> => {
    asked.push(query);
    const { after = '', limit } = query;
    const page = names.filter((name) => name > after).slice(0, limit);
    return page.map((repository) => ({ repository, states, tags: 1, verified: 0 }));
  };
  const checksum = async (name: string): Promise<string> => {
    summed.push(name);
    return `sum of ${name}`;
  };
  const countRepositories = async (): Promise<number> => names.length;
  return { repositorySummaries, countRepositories, checksum, asked, summed };
}

function namesOf(count: number, group: (index: number) => string): string[] {
  return Array.from({ length: count }, (_, index) => `${group(index)}/${String(index).padStart(5, '0')}`).toSorted();
}

async function allPages(rows: ReturnType<typeof rowsOf>, query: RepositoryListQuery): Promise<string[][]> {
  const pages: string[][] = [];
  let after: string | null | undefined;
  while (after !== null) {
    const page = await listRepositories(rows, { ...query, ...(after === undefined ? {} : { after }) });
    pages.push(page.repositories.map(({ name }) => name));
    after = page.next;
  }
  return pages;
}

test.each([1, 3, 10, 11])('pages of %d lead to every repository once', async (limit) => {
  const names = namesOf(10, () => 'group');
  const pages = await allPages(rowsOf(names), { limit });
  expect(pages.flat()).toEqual(names);
  expect(pages).toHaveLength(Math.ceil(10 / limit));
});

test('one repository and whether it failed are asked of the store', async () => {
  const rows = rowsOf([]);
  await listRepositories(rows, { failed: true, repositories: parseRepositoryFilter('a/b'), after: 'a', limit: 5 });
  expect(rows.asked).toEqual([{ isFailed: true, repository: 'a/b', after: 'a', limit: 6 }]);
});

test('pages of a glob lead to every repository that matches once, and only those are summed', async () => {
  const rows = rowsOf(namesOf(2_500, (index) => (index % 7 === 0 ? 'group' : 'other')));
  const pages = await allPages(rows, { repositories: parseRepositoryFilter('group/*'), limit: 100 });
  expect(pages.map((page) => page.length)).toEqual([100, 100, 100, 58]);
  expect(new Set(pages.flat()).size).toBe(358);
  expect(rows.summed).toEqual(pages.flat());
});

test('a page ends after ten thousand repositories of which none matches, and says where to go on', async () => {
  const rows = rowsOf([...namesOf(10_500, () => 'a'), 'z/last']);
  const query = { repositories: parseRepositoryFilter('z/*'), limit: 100 };
  expect(await listRepositories(rows, query)).toEqual({ repositories: [], total: null, next: 'a/09999' });
  expect((await allPages(rowsOf([...namesOf(10_500, () => 'a'), 'z/last']), query)).flat()).toEqual(['z/last']);
});
