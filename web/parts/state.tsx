// States of replication and origins of pulls: a colour, a shape and a word each.
import type { JSX } from 'preact';
import type { ListedRow, PullOrigin, RowState } from '../contract.ts';
import { countText } from '../lib/format.ts';
import { Icon, type IconName } from './icon.tsx';

interface Look {
  readonly icon: IconName;
  readonly label: string;
}

/** In the order of a bar. */
export const STATES: Readonly<Record<RowState, Look>> = {
  synced: { icon: 'ok', label: 'synced' },
  recheck: { icon: 'stale', label: 'rechecking' },
  syncing: { icon: 'sync', label: 'syncing' },
  pending: { icon: 'queued', label: 'queued' },
  unsupported: { icon: 'unsupported', label: 'unsupported' },
  failed: { icon: 'error', label: 'failed' },
};
export const STATE_NAMES = Object.keys(STATES) as RowState[];

export const ORIGINS: Readonly<Record<PullOrigin, Look>> = {
  memory: { icon: 'memory', label: 'memory' },
  local: { icon: 'ok', label: 'local' },
  primary: { icon: 'backfill', label: 'primary' },
  stale: { icon: 'stale', label: 'stale copy' },
};
export const ORIGIN_NAMES = Object.keys(ORIGINS) as PullOrigin[];

/** A state with its mark. */
export function StateMark({ state }: { state: RowState }): JSX.Element {
  const { icon, label } = STATES[state];
  return (
    <span class={`mark state-${state}`}>
      <Icon name={icon} size={14} />
      {label}
    </span>
  );
}

/** The state of a row; one that is tried again after an error says so, and one whose removal waits. */
export function RowMark({ row }: { row: ListedRow }): JSX.Element {
  if (row.held && !row.confirmed) {
    return (
      <span class="mark state-held">
        <Icon name="held" size={14} />
        removal on hold
      </span>
    );
  }
  const isTriedAgain = row.error !== null && (row.state === 'syncing' || row.state === 'pending');
  return (
    <span class="marks">
      <StateMark state={row.state} />
      {isTriedAgain && <span class="note">{row.state === 'syncing' ? 'trying again now' : 'will be tried again'}</span>}
    </span>
  );
}

/** Where a pull was answered from. */
export function OriginMark({ origin }: { origin: PullOrigin | null }): JSX.Element {
  if (origin === null) return <span class="none">–</span>;
  return (
    <span class={`origin origin-${origin}`}>
      <i aria-hidden="true" />
      {ORIGINS[origin].label}
    </span>
  );
}

type Counts = Readonly<Record<RowState, number>>;

/** The count of all states. */
export function totalOf(tags: Counts): number {
  return STATE_NAMES.reduce((sum, state) => sum + (tags[state] ?? 0), 0);
}

/** The states' shares as one bar; what is wrong is never too thin to be seen. */
export function StateBar({ tags, isSmall = false }: { tags: Counts; isSmall?: boolean }): JSX.Element {
  const shown = STATE_NAMES.filter((state) => tags[state] > 0);
  const text = shown.map((state) => `${countText(tags[state])} ${STATES[state].label}`).join(', ');
  return (
    <div class={`state-bar ${isSmall ? 'is-small' : ''}`} role="img" aria-label={text || 'no tags'} title={text}>
      {shown.map((state) => (
        <span key={state} class={`fill-${state}`} style={{ flexGrow: tags[state] }} />
      ))}
    </div>
  );
}

/** The states that there are, with their counts, each a link to what is in it. */
export function StateList({ tags, link }: { tags: Counts; link: (state: RowState) => string }): JSX.Element {
  return (
    <ul class="state-list">
      {STATE_NAMES.filter((state) => tags[state] > 0 || state === 'synced').map((state) => (
        <li key={state}>
          <a class={`mark state-${state}`} href={link(state)}>
            <Icon name={STATES[state].icon} size={14} />
            <b>{countText(tags[state])}</b> {STATES[state].label}
          </a>
        </li>
      ))}
    </ul>
  );
}
