// What just happened, at the page's edge for a while, and said by screen readers.
import type { JSX } from 'preact';
import { createStore, useStore } from '../lib/store.ts';
import { Icon } from './icon.tsx';

export interface Message {
  readonly tone: 'ok' | 'error';
  readonly text: string;
}

const SHOWN = 6_000;
const MOST = 3;

let last = 0;
const toasts = createStore<{ messages: readonly (Message & { readonly id: number })[] }>({ messages: [] });

function drop(id: number): void {
  toasts.set({ messages: toasts.get().messages.filter((message) => message.id !== id) });
}

/** Shows a message; a failure stays until it is closed. */
export function say(message: Message): void {
  last += 1;
  const id = last;
  toasts.set({ messages: [...toasts.get().messages, { ...message, id }].slice(-MOST) });
  if (message.tone === 'ok') setTimeout(drop, SHOWN, id);
}

/** The messages of now. */
export function Toasts(): JSX.Element {
  const messages = useStore(toasts, (value) => value.messages);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {messages.map(({ id, tone, text }) => (
        <p key={id} class={`toast is-${tone}`}>
          <Icon name={tone} />
          <span>{text}</span>
          <button type="button" onClick={() => drop(id)} aria-label="Close this message">
            ×
          </button>
        </p>
      ))}
    </div>
  );
}
