// Runs the program as its users do: as a process of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** The program's entry. */
export const entry = fileURLToPath(new URL('../../bin/geo-registry-proxy.cjs', import.meta.url));

/** How a process ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process that may still run. */
export interface Running {
  readonly ended: Promise<Ended>;
  /** Resolves when the process has written this to standard output. */
  said(text: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts Node on the given arguments with nothing of the tests' environment but PATH; ends it with the test. */
export function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const ended = once(child, 'close').then(([code]) => ({ code, stdout: stdout(), stderr: stderr() }));
  return {
    ended,
    async said(text) {
      while (!stdout().includes(text)) {
        const more = await Promise.race([once(child.stdout, 'data'), ended]);
        if ('code' in more) throw new Error(`ended without saying ${text}: ${more.stderr}`);
      }
    },
    kill: (signal) => void child.kill(signal),
  };
}

/** Runs the program to its end. */
export async function run(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ended> {
  return start(['--', entry, ...args], env).ended;
}

function collect(stream: Readable): () => string {
  let collected = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => (collected += chunk));
  return () => collected;
}
