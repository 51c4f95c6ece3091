// How late a proxy's event loop is, as a script tells that is preloaded into its process (loop-delay.ts).
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../../test/support/tool.ts';
import type { ProxyProcess } from './proxy-process.ts';

/** Milliseconds: the 99th percentile and the maximum. */
export interface Delay {
  readonly p99: number;
  readonly most: number;
}

const preload = fileURLToPath(new URL('loop-delay.ts', import.meta.url));

/** The environment of a proxy whose delay is written to `file`. */
export function watchLoop(file: string): Record<string, string> {
  return { NODE_OPTIONS: `--import=${preload}`, LOOP_DELAY_FILE: file };
}

/** The event loop's delay since the last call. */
export async function delayOf(proxy: ProxyProcess, file: string): Promise<Delay> {
  rmSync(file, { force: true });
  proxy.signal('SIGUSR2');
  const read = (): Delay => JSON.parse(readFileSync(file, 'utf8')) as Delay;
  return waitFor(read, { what: "the event loop's delay", timeout: 30_000 });
}
