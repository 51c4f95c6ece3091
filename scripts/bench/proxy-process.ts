// The proxy as its own process, as operators run it: what it costs is read from the operating system.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../../bin/geo-registry-proxy.cjs', import.meta.url));

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
export async function startProxyProcess(env: Record<string, string>): Promise<ProxyProcess> {
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
