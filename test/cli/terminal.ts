// Runs the program on a terminal, as a person does: script(1) gives it one.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { waitFor } from '../support/tool.ts';
import { entry } from './process.ts';

export interface OnTerminal {
  /** Resolves when this was shown. */
  shown(text: string): Promise<unknown>;
  /** Types something, with the end of the line. */
  type(text: string): void;
  /** The exit code and all that was shown. */
  readonly ended: Promise<{ readonly code: number | null; readonly shown: string }>;
}

/** Starts the program on a terminal of its own; it ends with the test. */
export function startOnTerminal(args: readonly string[], env: NodeJS.ProcessEnv): OnTerminal {
  const command = [process.execPath, '--', entry, ...args].map((word) => `'${word}'`).join(' ');
  const child = spawn(
    'script',
    ['--quiet', '--return', '--command', `stty cols 120 rows 40; ${command}`, '/dev/null'],
    {
      env: { PATH: process.env['PATH'], TERM: 'xterm', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text));
  return {
    shown: (text) => waitFor(() => shown.includes(text), { what: `the terminal to show ${text}` }),
    type: (text) => void child.stdin.write(`${text}\n`),
    ended: once(child, 'close').then(([code]) => ({ code: code as number | null, shown })),
  };
}
