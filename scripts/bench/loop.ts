// How late a proxy's event loop is, as a script tells that is preloaded into its process (loop-delay.ts).
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../../test/support/tool.ts';
import { plainScript } from './plain-script.ts';
import type { ProxyProcess } from './proxy-process.ts';

/** Milliseconds: the 99th percentile and the maximum. */
export interface Delay {
  readonly p99: number;
  readonly most: number;
}

function fileIn(dir: string): string {
  return join(dir, 'delay.json');
}

/** The environment of a proxy whose delay is written to a folder. */
export async function watchLoop(dir: string): Promise<Record<string, string>> {
  const script = await plainScript(new URL('loop-delay.ts', import.meta.url), dir);
  return { NODE_OPTIONS: `--import=${script}`, LOOP_DELAY_FILE: fileIn(dir) };
}

/** The event loop's delay since the last call. */
export async function delayOf(proxy: ProxyProcess, dir: string): Promise<Delay> {
  const file = fileIn(dir);
  rmSync(file, { force: true });
  proxy.signal('SIGUSR2');
  const read = (): Delay => JSON.parse(readFileSync(file, 'utf8')) as Delay;
  return waitFor(read, { what: "the event loop's delay", timeout: 30_000 });
}
