// Images that fail, by cause: the exact error, what to do about it, and all rows of a cause on demand.
import type { JSX } from 'preact';
import type { CauseGroup, ListedRow, RowPage } from '../../contract.ts';
import { counted, countText, imageText } from '../../lib/format.ts';
import { imageLink, linkTo } from '../../lib/router.ts';
import { useLoad, useReplicationKey } from '../../lib/use-load.ts';
import { usePages } from '../../lib/use-pages.ts';
import { ActionButton } from '../../parts/action.tsx';
import { Icon, type IconName } from '../../parts/icon.tsx';
import { Pager, Pending, Table } from '../../parts/page.tsx';
import { RowMark } from '../../parts/state.tsx';
import { Time } from '../../parts/time.tsx';

const KINDS: Readonly<Record<string, { label: string; icon: IconName }>> = {
  'missing-here': { label: 'missing here', icon: 'backfill' },
  'damaged-here': { label: 'damaged here', icon: 'error' },
  'missing-at-primary': { label: 'missing at the primary', icon: 'error' },
  unsupported: { label: 'unsupported', icon: 'unsupported' },
  refused: { label: 'refused', icon: 'error' },
  unreachable: { label: 'does not answer', icon: 'warning' },
  other: { label: 'failed', icon: 'error' },
};

const LIMIT = 100;
const FEW = 5;

function FailingRow({ row, onDone }: { row: ListedRow; onDone: () => void }): JSX.Element {
  const { repository, reference, attempts, nextAttemptAt } = row;
  const name = imageText(repository, reference);
  return (
    <tr>
      <td class="name">
        <a href={imageLink(repository, reference)} title={`${repository} ${reference}`}>
          {name}
        </a>
      </td>
      <td data-label="State">
        <RowMark row={row} />
      </td>
      <td data-label="Attempts" class="number">
        {countText(attempts)}
      </td>
      <td data-label="Next" class="when">
        <Time at={nextAttemptAt} />
      </td>
      <td class="row-actions">
        <ActionButton action="retry" target={name} scope={{ repository, reference }} look="quiet" onDone={onDone} />
      </td>
    </tr>
  );
}

function Rows({ rows, cause, onDone }: { rows: readonly ListedRow[]; cause: string; onDone: () => void }): JSX.Element {
  return (
    <Table
      caption={`Images that fail: ${cause}`}
      look="failing-rows"
      heads={['Image', 'State', '#Attempts', 'Next', '']}
    >
      {rows.map((row) => (
        <FailingRow key={row.id} row={row} onDone={onDone} />
      ))}
    </Table>
  );
}

/** All rows of a cause, a page at a time. */
function AllRows({ group, onDone }: { group: CauseGroup; onDone: () => void }): JSX.Element {
  const pages = usePages(group.cause);
  const query = { cause: group.cause, after: pages.after, limit: LIMIT };
  const { data, error, reload } = useLoad<RowPage>('/api/replication', query, useReplicationKey());
  if (!data) return <Pending error={error} onRetry={reload} />;
  return (
    <>
      <Rows rows={data.rows} cause={group.cause} onDone={onDone} />
      <Pager
        first={pages.first}
        shown={data.rows.length}
        total={group.count}
        onPrevious={pages.onPrevious}
        onNext={data.next === null ? undefined : () => pages.next(data.next!, data.rows.length)}
      />
    </>
  );
}

function Group({ group, isOpen, onDone }: { group: CauseGroup; isOpen: boolean; onDone: () => void }): JSX.Element {
  const { cause, kind, count, advice, sample } = group;
  const { label, icon } = KINDS[kind] ?? KINDS['other']!;
  const hasMore = count > Math.min(sample.length, FEW);
  return (
    <section class={`card failing-group ${icon === 'error' ? '' : 'is-mild'}`} aria-label={cause}>
      <header class="group-head">
        <span class={`mark ${icon === 'error' ? 'tone-error' : 'tone-warning'}`}>
          <Icon name={icon} size={14} />
          {label}
        </span>
        <span class="note">{counted(count, 'image')}</span>
        {count > 1 && (
          <ActionButton
            action="retry"
            label={`Retry these ${countText(count)}`}
            target={cause}
            scope={{ cause }}
            look="quiet"
            onDone={onDone}
          />
        )}
      </header>
      <h2 class="group-cause">{cause}</h2>
      <p class="advice">{advice}</p>
      {isOpen ? (
        <AllRows group={group} onDone={onDone} />
      ) : (
        <Rows rows={sample.slice(0, FEW)} cause={cause} onDone={onDone} />
      )}
      {hasMore && (
        <a class="button is-quiet more" href={isOpen ? '#/attention' : linkTo('/attention', { cause })}>
          {isOpen ? 'Show fewer' : `Show all ${countText(count)}`}
        </a>
      )}
    </section>
  );
}

/** The groups; `cause` is the one all of whose rows are shown. */
export function FailingGroups(props: {
  groups: readonly CauseGroup[];
  cause: string | null;
  onDone: () => void;
}): JSX.Element {
  return (
    <>
      {props.groups.map((group) => (
        <Group key={group.cause} group={group} isOpen={group.cause === props.cause} onDone={props.onDone} />
      ))}
    </>
  );
}
