// One repository: its tags, here and at the primary.
import type { JSX } from 'preact';
import type { ListedTag, Repository } from '../contract.ts';
import { bytesText, counted, imageText, shortDigest } from '../lib/format.ts';
import { imageLink, linkTo, changeQuery, type Route } from '../lib/router.ts';
import { useLoad, useReplicationKey } from '../lib/use-load.ts';
import { usePages } from '../lib/use-pages.ts';
import { ActionButton } from '../parts/action.tsx';
import { Digest } from '../parts/copy.tsx';
import { Crumbs } from '../parts/crumbs.tsx';
import { Icon } from '../parts/icon.tsx';
import { Empty, PageHead, Pager, Pending, Section, Table } from '../parts/page.tsx';
import { Search, stateIn, StateSelect } from '../parts/search.tsx';
import { RowMark, StateBar, StateList, totalOf } from '../parts/state.tsx';
import { Ago, Time } from '../parts/time.tsx';

const LIMIT = 100;

function referenceText(reference: string): string {
  if (reference === '*') return 'all tags';
  return reference.includes(':') ? `@${shortDigest(reference)}` : reference;
}

/** Nearly all are Linux: that is not worth its place. */
function platformText(platform: string): string {
  return platform.replace(/^linux\//, '');
}

/** Both digests as one where they are the same. */
function Digests({ row }: { row: ListedTag }): JSX.Element {
  const { localDigest, primaryDigest } = row;
  if (localDigest !== null && localDigest === primaryDigest) return <Digest digest={localDigest} />;
  return (
    <span class="digest-pair">
      <span>
        <span class="note">here</span> <Digest digest={localDigest} none="missing" />
      </span>
      <span>
        <span class="note">primary</span> <Digest digest={primaryDigest} none="not known" />
      </span>
    </span>
  );
}

function Trouble({ row }: { row: ListedTag }): JSX.Element | null {
  if (row.error === null) return null;
  return (
    <p class="cause">
      {row.error}
      <span class="note">
        {' '}
        · {counted(row.attempts, 'attempt')}
        {row.nextAttemptAt !== null && (
          <>
            , next <Time at={row.nextAttemptAt} />
          </>
        )}
      </span>
    </p>
  );
}

function TagRow({ row }: { row: ListedTag }): JSX.Element {
  const { repository, reference, size, platforms, lastPulledAt, syncedAt } = row;
  const target = imageText(repository, reference);
  const scope = { repository, reference };
  return (
    <tr class={row.state === 'failed' ? 'is-bad' : ''}>
      <td class="name">
        <a href={imageLink(repository, reference)} title={reference}>
          {referenceText(reference)}
        </a>
        <Trouble row={row} />
      </td>
      <td data-label="State">
        <RowMark row={row} />
      </td>
      <td data-label="Digest">
        <Digests row={row} />
      </td>
      <td data-label="Size" class="number">
        {size === null ? <span class="none">–</span> : bytesText(size)}
      </td>
      <td data-label="Platforms" title={platforms.join(', ')}>
        {platforms.slice(0, 2).map(platformText).join(', ') || <span class="none">–</span>}
        {platforms.length > 2 && <span class="note"> +{platforms.length - 2}</span>}
      </td>
      <td data-label="Last pull" class="when">
        <Ago at={lastPulledAt} />
      </td>
      <td data-label="Synced" class="when">
        <Ago at={syncedAt} />
      </td>
      <td class="row-actions">
        {row.state === 'synced' ? (
          <ActionButton action="verify" target={target} scope={scope} look="quiet" />
        ) : (
          <ActionButton action="retry" target={target} scope={scope} look="quiet" />
        )}
      </td>
    </tr>
  );
}

export function RepositoryView({ route }: { route: Route }): JSX.Element {
  const name = route.query.get('name') ?? '';
  const search = route.query.get('search') ?? '';
  const state = stateIn(route.query);
  const pages = usePages([name, search, state].join('\n'));
  const { data, error, isLoading, reload } = useLoad<Repository>(
    '/api/repository',
    { name, search, state, after: pages.after, limit: LIMIT },
    useReplicationKey(),
  );
  const scope = { repository: name };
  const rows = data?.rows ?? [];
  return (
    <>
      <PageHead title={name} crumbs={<Crumbs repository={name} />}>
        {data && data.tags.failed > 0 && (
          <ActionButton
            action="retry"
            label="Retry failed"
            target={name}
            scope={scope}
            look="primary"
            onDone={reload}
          />
        )}
        <ActionButton action="verify" target={name} scope={scope} />
        <ActionButton action="backfill" target={name} scope={scope} />
      </PageHead>
      <Section
        title="Images"
        look={isLoading ? 'is-loading' : ''}
        note={
          data && totalOf(data.tags) > 0 ? (
            <>
              {counted(totalOf(data.tags), 'tag or untagged manifest', 'tags and untagged manifests')}, last synced{' '}
              <Ago at={data.syncedAt} />
            </>
          ) : (
            ''
          )
        }
      >
        {data && totalOf(data.tags) > 0 && (
          <>
            <StateBar tags={data.tags} />
            <StateList tags={data.tags} link={(chosen) => linkTo('/repository', { name, state: chosen })} />
          </>
        )}
        <div class="filters" role="search">
          <Search label="Search tags" value={search} onChange={(text) => changeQuery({ search: text })} />
          <StateSelect value={state} onChange={(value) => changeQuery({ state: value })} />
        </div>
        {!data && <Pending error={error} onRetry={reload} lines={6} />}
        {data && rows.length === 0 && (
          <Empty
            icon="search"
            title={search + state === '' ? 'Nothing is known of this repository' : 'No image matches'}
          >
            {search + state === '' && <p>A backfill of it asks the primary what it has.</p>}
          </Empty>
        )}
        {rows.length > 0 && (
          <Table
            caption={`Images of ${name}`}
            look="tags"
            heads={['Tag', 'State', 'Digest', '#Size', 'Platforms', 'Last pull', 'Synced', '']}
          >
            {rows.map((row) => (
              <TagRow key={row.id} row={row} />
            ))}
          </Table>
        )}
        <Pager
          first={pages.first}
          shown={rows.length}
          total={search + state === '' && data ? totalOf(data.tags) : null}
          onPrevious={pages.onPrevious}
          onNext={data?.next ? () => pages.next(data.next!, rows.length) : undefined}
        />
      </Section>
      <p class="note page-note">
        <Icon name="info" size={14} /> One digest is shown where this site and the primary have the same.
      </p>
    </>
  );
}
