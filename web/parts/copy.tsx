// What a person may want to take along: a digest in short, a line to copy.
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { shortDigest } from '../lib/format.ts';
import { say } from './toast.tsx';
import { Icon } from './icon.tsx';

/** A browser gives its clipboard to secure pages alone; elsewhere an old way does. */
async function copy(text: string): Promise<boolean> {
  if (navigator.clipboard)
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  const isDone = document.execCommand('copy');
  area.remove();
  return isDone;
}

/** A button that copies `text`; `what` names it for screen readers. */
export function CopyButton({ text, what }: { text: string; what: string }): JSX.Element {
  const [isDone, setDone] = useState(false);
  useEffect(() => {
    if (!isDone) return undefined;
    const timer = setTimeout(() => setDone(false), 1_500);
    return () => clearTimeout(timer);
  }, [isDone]);
  const press = (): void => {
    void copy(text).then((isCopied) => {
      setDone(isCopied);
      say(isCopied ? { tone: 'ok', text: `Copied ${what}` } : { tone: 'error', text: 'The browser did not copy it' });
    });
  };
  return (
    <button
      type="button"
      class={`copy ${isDone ? 'is-done' : ''}`}
      onClick={press}
      aria-label={`Copy ${what}`}
      title="Copy"
    >
      <Icon name={isDone ? 'check' : 'copy'} size={14} />
    </button>
  );
}

/** A digest in short, with a button that copies all of it. */
export function Digest({ digest, none = '–' }: { digest: string | null; none?: string }): JSX.Element {
  if (digest === null) return <span class="none">{none}</span>;
  return (
    <span class="digest">
      <code title={digest}>{shortDigest(digest)}</code>
      <CopyButton text={digest} what={`digest ${shortDigest(digest)}`} />
    </span>
  );
}

/** A command line to copy whole. */
export function CopyLine({ text, what }: { text: string; what: string }): JSX.Element {
  return (
    <div class="copy-line">
      <code tabIndex={0} aria-label={what}>
        {text}
      </code>
      <CopyButton text={text} what={what} />
    </div>
  );
}
