// A server process of a test: its output, its end, and the certainty that it ends with us.
import { spawn, type ChildProcess } from 'node:child_process';
import { scaled } from './patience.ts';
import { waitFor } from './tool.ts';

export interface ServerProcess {
  readonly pid: number;
  /** All that the process printed so far, both streams. */
  log(): string;
  /** Whether the process is still there. */
  running(): boolean;
  /** Settles when the process has ended, with its exit code or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Sends the signal (SIGTERM when absent), waits for the end, and kills what is still there after 10 s (on two idle cores). */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

export interface ProcessOptions {
  /** The whole environment of the process; this process's own when absent. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

function endOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  return new Promise((settle) => {
    child.once('error', () => settle(127));
    child.once('exit', (code, signal) => settle(code ?? signal ?? 1));
  });
}

/** Starts a server process that the kernel kills when this process ends in any way, a crash or SIGKILL included. */
export function startProcess(command: string, args: readonly string[], options: ProcessOptions = {}): ServerProcess {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], {
    ...options,
    // A session of its own: a Ctrl-C at the terminal reaches us alone, and servers stop in our order.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const ended = endOf(child);
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const running = (): boolean => child.exitCode === null && child.signalCode === null && child.pid !== undefined;
  return {
    pid: child.pid ?? -1,
    log: () => output,
    running,
    ended,
    async stop(signal = 'SIGTERM') {
      if (!running()) return ended;
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), scaled(10_000));
      return ended.finally(() => clearTimeout(timer));
    },
  };
}

/** Waits until `ready` is true; an Error with the process's output when it ends or 20 s (on two idle cores) pass before. */
export async function waitUntilReady(
  server: ServerProcess,
  ready: () => Promise<boolean>,
  what: string,
): Promise<void> {
  try {
    await waitFor(async () => !server.running() || (await ready()), { what, timeout: 20_000 });
  } catch (error) {
    throw new Error(`${what} did not come: ${server.log()}`, { cause: error });
  }
  if (!server.running()) throw new Error(`${what} did not come, the process ended: ${server.log()}`);
}
