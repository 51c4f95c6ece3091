// The proxy as its own process, as operators run it: what it costs is read from the operating system.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync, readFileSync } from 'node:fs';
import { cp, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runOrThrow, tempDir, toolPath, waitFor } from '../../test/support/tool.ts';
import { peakMemoryOf, resetPeakMemoryOf } from './process-figures.ts';

const clone = fileURLToPath(new URL('../..', import.meta.url));

/** Builds what is shipped into a folder, since a checkout's sources cost memory and time that operators do not pay. */
export async function buildShipped(dir: string): Promise<string> {
  await runOrThrow(toolPath('tsc'), ['-p', join(clone, 'tsconfig.build.json'), '--outDir', join(dir, 'dist')]);
  for (const name of ['bin', 'package.json', 'dist/web'])
    await cp(join(clone, name), join(dir, name), { recursive: true });
  await symlink(join(clone, 'node_modules'), join(dir, 'node_modules'));
  return join(dir, 'bin/geo-registry-proxy.cjs');
}

export interface ProxyProcess {
  readonly pid: number;
  readonly url: string;
  readonly port: number;
  readonly adminUrl: string;
  readonly adminPort: number;
  /** Milliseconds from the start of the process until it took connections. */
  readonly startup: number;
  /** All that it printed so far. */
  log(): string;
  /** The most memory that it held so far, or since `resetPeakMemory`, in bytes (VmHWM). */
  peakMemory(): number;
  resetPeakMemory(): void;
  signal(name: NodeJS.Signals): void;
  stop(): Promise<void>;
}

interface Addresses {
  readonly url: string;
  readonly adminUrl: string;
}

/** What the log line says that tells where it listens. */
function addressesIn(log: string): Addresses | undefined {
  const line = log.split('\n').find((text) => text.includes('"msg":"listening"'));
  return line === undefined ? undefined : (JSON.parse(line) as Addresses);
}

/** The command for a file: a program of Node, or an executable. */
function commandOf(bin: string): string[] {
  return /\.[cm]js$/.test(bin) ? [process.execPath, '--', bin] : [bin];
}

/** Starts `geo-registry-proxy serve` with this environment. Its log goes to a file: reading it would cost our time. */
export async function startProxyProcess(bin: string, env: Record<string, string>): Promise<ProxyProcess> {
  const scratch = await tempDir();
  const logFile = join(scratch.path, 'log');
  const file = openSync(logFile, 'w');
  const begin = performance.now();
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...commandOf(bin), 'serve'], {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
    stdio: ['ignore', file, file],
    detached: true,
  });
  closeSync(file);
  const pid = child.pid!;
  const ended = once(child, 'exit');
  const log = (): string => readFileSync(logFile, 'utf8');
  let startup = 0;
  const addresses = await waitFor(
    () => {
      if (child.exitCode !== null) return { failure: log() };
      const found = addressesIn(log());
      startup = performance.now() - begin;
      return found;
    },
    { what: 'the proxy to listen', timeout: 30_000 },
  );
  if ('failure' in addresses) throw new Error(`the proxy did not start: ${addresses.failure.trim()}`);
  const { url, adminUrl } = addresses;
  return {
    pid,
    url,
    port: Number(new URL(url).port),
    adminUrl,
    adminPort: Number(new URL(adminUrl).port),
    startup,
    log,
    peakMemory: () => peakMemoryOf(pid),
    resetPeakMemory: () => resetPeakMemoryOf(pid),
    signal: (name) => void child.kill(name),
    async stop() {
      child.kill('SIGTERM');
      await ended;
      await scratch.remove();
    },
  };
}
