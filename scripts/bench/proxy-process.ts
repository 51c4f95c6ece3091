// The proxy as its own process, as operators run it: what it costs is read from the operating system.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cp, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runOrThrow, toolPath } from '../../test/support/tool.ts';

const clone = fileURLToPath(new URL('../..', import.meta.url));

/** Builds what is shipped into a folder, since a checkout's sources cost memory and time that operators do not pay. */
export async function buildShipped(dir: string): Promise<string> {
  await runOrThrow(toolPath('tsc'), ['-p', join(clone, 'tsconfig.build.json'), '--outDir', join(dir, 'dist')]);
  for (const name of ['bin', 'package.json']) await cp(join(clone, name), join(dir, name), { recursive: true });
  await symlink(join(clone, 'node_modules'), join(dir, 'node_modules'));
  return join(dir, 'bin/geo-registry-proxy.cjs');
}

export interface ProxyProcess {
  readonly url: string;
  /** Milliseconds from the start of the process until it took connections. */
  readonly startup: number;
  /** The most memory that it held so far, in bytes (VmHWM). */
  peakMemory(): number;
  stop(): Promise<void>;
}

function peakOf(child: ChildProcess): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}

/** Resolves with the URL in the log line that says where it listens. */
function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout!.on('data', (chunk: Buffer) => {
      text += String(chunk);
      const url = /"url":"(http:[^"]+)"/.exec(text)?.[1];
      if (url !== undefined) resolve(url);
    });
    child.once('exit', () => reject(new Error(`the proxy did not start: ${text}`)));
  });
}

/** Starts `geo-registry-proxy serve` with this environment. */
export async function startProxyProcess(bin: string, env: Record<string, string>): Promise<ProxyProcess> {
  const begin = performance.now();
  const child = spawn(process.execPath, ['--', bin, 'serve'], {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const url = await listening(child);
  const startup = performance.now() - begin;
  return {
    url,
    startup,
    peakMemory: () => peakOf(child),
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
