// Times as people say them, exact where they point at them.
import type { JSX } from 'preact';
import { fromNow } from '../lib/format.ts';
import { useClock } from '../lib/now.ts';

interface TimeProps {
  readonly at: string | null;
  /** What is shown where there is none. */
  readonly none?: string;
}

function exact(at: string): string {
  return `${at.replace('T', ' ').replace(/(\.\d+)?Z$/, '')} UTC`;
}

/** A time ahead or ago. */
export function Time({ at, none = '–' }: TimeProps): JSX.Element {
  const text = useClock((now) => (at === null ? none : fromNow(at, now)));
  if (at === null) return <span class="none">{text}</span>;
  return (
    <time dateTime={at} title={exact(at)}>
      {text}
    </time>
  );
}

/** A time that has passed, also where this machine's clock is behind the proxy's. */
export function Ago({ at, none = 'never' }: TimeProps): JSX.Element {
  const text = useClock((now) => (at === null ? none : fromNow(at, Math.max(now, Date.parse(at)))));
  if (at === null) return <span class="none">{text}</span>;
  return (
    <time dateTime={at} title={exact(at)}>
      {text}
    </time>
  );
}

/** For how long something has been so, by the largest unit: `3 d`. */
export function Lasting({ at }: { at: string }): JSX.Element {
  const text = useClock((now) => fromNow(at, Math.max(now, Date.parse(at) + 1_000)).replace(' ago', ''));
  return (
    <time dateTime={at} title={`since ${exact(at)}`}>
      {text}
    </time>
  );
}
