// The pieces that pages are put together from: sections, figures, tables, pagers, empty and failed states.
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { countText } from '../lib/format.ts';
import { Icon, type IconName } from './icon.tsx';

/** The page's heading; it gets the focus when the page was gone to. */
export function PageHead(props: {
  title: string;
  children?: ComponentChildren;
  crumbs?: ComponentChildren;
}): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // Not at the first page: a browser begins at its top.
    if (document.body.dataset['visited']) heading.current?.focus({ preventScroll: true });
    document.body.dataset['visited'] = 'yes';
    scrollTo(0, 0);
  }, [props.title]);
  return (
    <header class="page-head">
      <div>
        {props.crumbs && <p class="crumbs">{props.crumbs}</p>}
        <h1 ref={heading} tabIndex={-1}>
          {props.title}
        </h1>
      </div>
      {props.children && <div class="page-actions">{props.children}</div>}
    </header>
  );
}

interface SectionProps {
  readonly title: string;
  readonly note?: ComponentChildren;
  readonly aside?: ComponentChildren;
  readonly look?: string;
  readonly children: ComponentChildren;
}

/** A card with a heading. */
export function Section({ title, note, aside, look = '', children }: SectionProps): JSX.Element {
  const id = useId();
  return (
    <section class={`card ${look}`} aria-labelledby={id}>
      <header class="card-head">
        <h2 id={id}>{title}</h2>
        {note && <p class="card-note">{note}</p>}
        {aside && <div class="card-aside">{aside}</div>}
      </header>
      {children}
    </section>
  );
}

interface FigureProps {
  readonly label: string;
  readonly value: ComponentChildren;
  readonly unit?: string;
  readonly note?: ComponentChildren;
}

/** One number with its name; belongs into a `Figures` list. */
export function Figure({ label, value, unit, note }: FigureProps): JSX.Element {
  return (
    <div class="figure">
      <dt>{label}</dt>
      <dd>
        {value}
        {unit && <span class="unit"> {unit}</span>}
        {note && <small>{note}</small>}
      </dd>
    </div>
  );
}

export function Figures({ children }: { children: ComponentChildren }): JSX.Element {
  return <dl class="figures">{children}</dl>;
}

interface TableProps {
  /** For screen readers. */
  readonly caption: string;
  /** Heads that begin with `#` are those of numbers; an empty one is of actions. */
  readonly heads: readonly string[];
  readonly look?: string;
  readonly children: ComponentChildren;
}

/** A table; on a phone each row is a card, which names its cells by their `data-label`. */
export function Table({ caption, heads, look = '', children }: TableProps): JSX.Element {
  return (
    <table class={`table ${look}`}>
      <caption class="sr-only">{caption}</caption>
      <thead>
        <tr>
          {heads.map((head) => (
            <th key={head} scope="col" class={head.startsWith('#') ? 'number' : ''}>
              {head === '' ? <span class="sr-only">Actions</span> : head.replace(/^#/, '')}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  );
}

interface PagerProps {
  readonly first: number;
  readonly shown: number;
  readonly total: number | null;
  readonly onPrevious: (() => void) | undefined;
  readonly onNext: (() => void) | undefined;
}

/** Which rows of all are shown, and the ways to the others. */
export function Pager({ first, shown, total, onPrevious, onNext }: PagerProps): JSX.Element | null {
  if (!onPrevious && !onNext) return null;
  const range = shown === 0 ? 'no rows' : `${countText(first)}–${countText(first + shown - 1)}`;
  return (
    <nav class="pager" aria-label="Pages of the table">
      <span>
        {range}
        {total !== null && ` of ${countText(total)}`}
      </span>
      <button type="button" class="button is-plain" disabled={!onPrevious} onClick={onPrevious}>
        <Icon name="left" size={14} /> Previous
      </button>
      <button type="button" class="button is-plain" disabled={!onNext} onClick={onNext}>
        Next <Icon name="right" size={14} />
      </button>
    </nav>
  );
}

/** Says that there is nothing, why, and what to do next. */
export function Empty(props: { icon: IconName; title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <Icon name={props.icon} size={22} />
      <p class="empty-title">{props.title}</p>
      {props.children && <div class="empty-text">{props.children}</div>}
    </div>
  );
}

/** What is shown while a question is under way for the first time, or when it failed. */
export function Pending(props: { error: string | undefined; onRetry: () => void; lines?: number }): JSX.Element {
  const { error, onRetry, lines = 4 } = props;
  if (error !== undefined) {
    return (
      <Empty icon="warning" title="This could not be loaded">
        <p>{error}</p>
        <button type="button" class="button is-plain" onClick={onRetry}>
          Try again
        </button>
      </Empty>
    );
  }
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        <i key={line} />
      ))}
    </div>
  );
}

interface ChoiceProps<T extends string> {
  readonly label: string;
  readonly value: T;
  readonly options: Readonly<Record<T, string>>;
  readonly onChange: (value: T) => void;
}

/** A few options of which one is chosen. */
export function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>): JSX.Element {
  return (
    <div class="choice" role="group" aria-label={label}>
      {(Object.entries(options) as [T, string][]).map(([name, text]) => (
        <button key={name} type="button" aria-pressed={name === value} onClick={() => onChange(name)}>
          {text}
        </button>
      ))}
    </div>
  );
}
