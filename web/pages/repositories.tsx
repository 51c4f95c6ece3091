// Repositories: the tree of groups, and a list to search, sort and page through on the server.
import type { JSX } from 'preact';
import type { ListedRepository, RepositoryPage, RowState } from '../contract.ts';
import { countText } from '../lib/format.ts';
import { linkTo, changeQuery, type Route } from '../lib/router.ts';
import { useLoad, useReplicationKey } from '../lib/use-load.ts';
import { usePages } from '../lib/use-pages.ts';
import { ActionButton } from '../parts/action.tsx';
import { Empty, PageHead, Pager, Pending, Section, Table } from '../parts/page.tsx';
import { Search, Select, stateIn, StateSelect } from '../parts/search.tsx';
import { StateBar, totalOf } from '../parts/state.tsx';
import { Ago } from '../parts/time.tsx';
import { GroupTree } from './tree.tsx';

const SORTS = { name: 'name', failed: 'most failed', pending: 'most queued', syncedAt: 'last synced' } as const;
type Sort = keyof typeof SORTS;
const LIMIT = 100;

function RepositoryRow({ repository }: { repository: ListedRepository }): JSX.Element {
  const { name, tags, syncedAt } = repository;
  const queued = tags.pending + tags.syncing;
  return (
    <tr>
      <td class="name">
        <a href={linkTo('/repository', { name })}>{name}</a>
      </td>
      <td data-label="State" class="bar-cell">
        <StateBar tags={tags} isSmall />
      </td>
      <td data-label="Images" class="number">
        {countText(totalOf(tags))}
      </td>
      <td data-label="Queued" class="number">
        {queued === 0 ? <span class="none">0</span> : countText(queued)}
      </td>
      <td data-label="Failed" class="number">
        {tags.failed === 0 ? <span class="none">0</span> : <strong class="tone-error">{countText(tags.failed)}</strong>}
      </td>
      <td data-label="Last synced" class="when">
        <Ago at={syncedAt} />
      </td>
      <td class="row-actions">
        {tags.failed > 0 && <ActionButton action="retry" target={name} scope={{ repository: name }} look="quiet" />}
      </td>
    </tr>
  );
}

function Nothing({ isFiltered }: { isFiltered: boolean }): JSX.Element {
  if (isFiltered) {
    return (
      <Empty icon="search" title="No repository matches">
        <p>
          <a href="#/repositories">Show all repositories</a>
        </p>
      </Empty>
    );
  }
  return (
    <Empty icon="repository" title="No repository is known yet">
      <p>A backfill reads the primary’s catalog and queues all that it has. Pulls add repositories by themselves.</p>
      <ActionButton action="backfill" target="this site" label="Start a backfill" look="primary" />
    </Empty>
  );
}

export function Repositories({ route }: { route: Route }): JSX.Element {
  const group = route.query.get('group') ?? '';
  const search = route.query.get('search') ?? '';
  const state = stateIn(route.query);
  const sort = (Object.keys(SORTS) as Sort[]).find((name) => name === route.query.get('sort')) ?? 'name';
  const pages = usePages([group, search, state, sort].join('\n'));
  const query = { group, search, state, sort, after: pages.after, limit: LIMIT };
  const { data, error, isLoading, reload } = useLoad<RepositoryPage>(
    '/api/replication/repositories',
    query,
    useReplicationKey(),
  );
  const { repositories = [], next = null, total = null } = data ?? {};
  return (
    <>
      <PageHead title="Repositories" />
      <div class="browse">
        <details class="tree-fold" open={innerWidth > 900}>
          <summary>Groups</summary>
          <GroupTree chosen={group} />
        </details>
        <Section
          title={group || 'All repositories'}
          note={total === null ? '' : `${countText(total)} found`}
          look={isLoading ? 'is-loading' : ''}
        >
          <div class="filters" role="search">
            <Search
              label="Search repositories"
              value={search}
              isFirst={route.query.get('focus') === 'search'}
              onChange={(text) => changeQuery({ search: text })}
            />
            <StateSelect value={state} onChange={(value: RowState | '') => changeQuery({ state: value })} />
            <Select label="Sort by" value={sort} options={SORTS} onChange={(value) => changeQuery({ sort: value })} />
          </div>
          {!data && <Pending error={error} onRetry={reload} lines={8} />}
          {data && repositories.length === 0 && <Nothing isFiltered={group + search + state !== ''} />}
          {repositories.length > 0 && (
            <Table
              caption={`Repositories${group && ` in ${group}`}`}
              heads={['Repository', 'State', '#Images', '#Queued', '#Failed', 'Last synced', '']}
            >
              {repositories.map((repository) => (
                <RepositoryRow key={repository.name} repository={repository} />
              ))}
            </Table>
          )}
          <Pager
            first={pages.first}
            shown={repositories.length}
            total={total}
            onPrevious={pages.onPrevious}
            onNext={next === null ? undefined : () => pages.next(next, repositories.length)}
          />
        </Section>
      </div>
    </>
  );
}
