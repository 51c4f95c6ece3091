// A search field; `/` goes to the one of the page.
import type { JSX } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import type { RowState } from '../contract.ts';
import { Icon } from './icon.tsx';
import { STATE_NAMES, STATES } from './state.tsx';

interface SearchProps {
  readonly label: string;
  readonly value: string;
  /** It has the focus from the start. */
  readonly isFirst?: boolean;
  readonly onChange: (value: string) => void;
}

// The server is asked once a person pauses (ms).
const PAUSE = 250;

export function Search({ label, value, isFirst = false, onChange }: SearchProps): JSX.Element {
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (isFirst) field.current?.focus();
  }, [isFirst]);
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return undefined;
    const timer = setTimeout(onChange, PAUSE, text);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <div class="search">
      <label class="sr-only" htmlFor={id}>
        {label}
      </label>
      <Icon name="search" size={14} />
      <input
        id={id}
        ref={field}
        type="search"
        data-search
        autocomplete="off"
        spellcheck={false}
        placeholder={label}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <kbd aria-hidden="true">/</kbd>
    </div>
  );
}

interface SelectProps<T extends string> {
  readonly label: string;
  readonly value: T | '';
  readonly options: Readonly<Record<T, string>>;
  /** What the empty value means. */
  readonly all?: string;
  readonly onChange: (value: T | '') => void;
}

export function Select<T extends string>({ label, value, options, all, onChange }: SelectProps<T>): JSX.Element {
  return (
    <label class="select">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value as T | '')}>
        {all !== undefined && <option value="">{all}</option>}
        {(Object.entries(options) as [T, string][]).map(([name, text]) => (
          <option key={name} value={name}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

const STATE_OPTIONS = Object.fromEntries(STATE_NAMES.map((state) => [state, STATES[state].label])) as Record<
  RowState,
  string
>;

export function StateSelect(props: { value: RowState | ''; onChange: (value: RowState | '') => void }): JSX.Element {
  return <Select label="State" all="any" options={STATE_OPTIONS} {...props} />;
}

/** The state that an address names, if it is one. */
export function stateIn(query: URLSearchParams): RowState | '' {
  return STATE_NAMES.find((state) => state === query.get('state')) ?? '';
}
