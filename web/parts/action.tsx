// A button that makes the proxy do something, and shows beside itself what came of it.
import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { ActionAnswers, ActionName } from '../contract.ts';
import { act, ApiError, type Scope } from '../lib/api.ts';
import { counted } from '../lib/format.ts';
import { ConfirmDialog } from './dialog.tsx';
import { Icon, type IconName } from './icon.tsx';
import { say, type Message } from './toast.tsx';

interface Action<Name extends ActionName> {
  readonly icon: IconName;
  readonly label: string;
  readonly told: (answer: ActionAnswers[Name]) => string;
}

const ACTIONS: { readonly [Name in ActionName]: Action<Name> } = {
  retry: {
    icon: 'retry',
    label: 'Retry',
    told: ({ changed }) => (changed === 0 ? 'Nothing here waits for a retry' : `${counted(changed, 'image')} queued`),
  },
  verify: {
    icon: 'verify',
    label: 'Verify',
    told: ({ started }) => (started ? 'Verification started' : 'A verification runs already'),
  },
  backfill: {
    icon: 'backfill',
    label: 'Backfill',
    told: ({ started }) => (started ? 'Backfill started' : 'A backfill runs already'),
  },
  'confirm-removals': {
    icon: 'remove',
    label: 'Confirm removals',
    told: ({ confirmed, suspended }) =>
      `${counted(confirmed, 'removal')} confirmed${suspended ? '; the others still wait' : ''}`,
  },
  'clear-damaged': {
    icon: 'check',
    label: 'Remove mark',
    told: ({ cleared }) => (cleared === 0 ? 'No mark was left' : `${counted(cleared, 'mark')} removed`),
  },
};

export interface ActionButtonProps {
  readonly action: ActionName;
  readonly scope?: Scope;
  /** In the place of the action's own. */
  readonly label?: string;
  /** What it is for, where the label alone does not say it: `demo/app:1.2`. */
  readonly target: string;
  readonly look?: 'primary' | 'plain' | 'quiet' | 'danger';
  /** Asks before it acts. */
  readonly confirm?: { readonly title: string; readonly text: string; readonly yes: string };
  readonly onDone?: () => void;
}

/** @see ActionButtonProps */
export function ActionButton(props: ActionButtonProps): JSX.Element {
  const { action, scope = {}, target, look = 'plain', confirm, onDone } = props;
  const { icon, label: own, told } = ACTIONS[action] as Action<ActionName>;
  const { label = own } = props;
  const [isBusy, setBusy] = useState(false);
  const [isAsking, setAsking] = useState(false);
  const [result, setResult] = useState<Message>();
  const button = useRef<HTMLButtonElement>(null);

  async function run(): Promise<void> {
    setAsking(false);
    setBusy(true);
    setResult(undefined);
    const outcome = await act(action, scope).then(
      (answer): Message => ({ tone: 'ok', text: told(answer as never) }),
      (error: unknown): Message => ({
        tone: 'error',
        text: error instanceof ApiError ? error.message : String(error),
      }),
    );
    setBusy(false);
    setResult(outcome);
    say({ tone: outcome.tone, text: `${target}: ${outcome.text}` });
    onDone?.();
  }

  return (
    <span class="action">
      <button
        ref={button}
        type="button"
        class={`button is-${look}`}
        aria-disabled={isBusy}
        aria-label={`${label}: ${target}`}
        onClick={() => !isBusy && (confirm ? setAsking(true) : void run())}
      >
        <Icon name={isBusy ? 'sync' : icon} size={14} />
        <span>{label}</span>
      </button>
      {result && <span class={`action-result is-${result.tone}`}>{result.text}</span>}
      {confirm && isAsking && (
        <ConfirmDialog
          {...confirm}
          onYes={() => void run()}
          onNo={() => {
            setAsking(false);
            button.current?.focus();
          }}
        />
      )}
    </span>
  );
}
