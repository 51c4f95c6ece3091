// Commands that take their time: the running server does the work, or a proxy of this process alone, and is followed.
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { NoServer } from './admin-client.ts';
import { EXIT } from './exit-code.ts';
import { onInterrupt } from './interrupt.ts';
import { createProgressView, type ProgressView } from './progress.ts';
import { openServer, type Site } from './site.ts';

/** Starts a proxy for this command alone; answers how to ask it, and how to end it. */
export type StartAlone = (config: Config) => Promise<Site>;

/** Gives the work's order and follows it to its end; undefined when `signal` came first. */
export type Follow<T> = (site: Site, view: ProgressView, signal: AbortSignal) => Promise<T | undefined>;

/** What is said and answered. */
export interface Telling<T> {
  /** The work's name: `backfill`. */
  readonly name: string;
  /** Tells how it ended; answers the exit code. @throws Error with why it ended early, in a line */
  readonly tell: (ended: T) => number;
  /** What a signal leaves behind: at a server, and where this process did the work. */
  readonly left: { readonly served: string; readonly alone: string };
}

/** How often (ms) the work is looked at. */
export const LOOK_EVERY = 500;

// A proxy of this process gets as long (ms) to end in order: without that it is a crash, which loses nothing either.
const LEAVE = 1_000;

async function open(config: Config, startAlone: StartAlone, view: ProgressView, name: string): Promise<Site> {
  try {
    return await openServer(config);
  } catch (error) {
    if (!(error instanceof NoServer)) throw error;
    view.show(`${name}: no server runs, so this process does the work; starting`);
    return startAlone(config);
  }
}

/** Follows a work to its end; answers the exit code. A signal ends the process with 130 at once. */
export async function runFollowed<T>(
  config: Config,
  startAlone: StartAlone,
  follow: Follow<T>,
  { name, tell, left }: Telling<T>,
): Promise<number> {
  const interrupt = new AbortController();
  const interrupted = new Promise<undefined>((resolve) => {
    onInterrupt(() => {
      interrupt.abort();
      resolve(undefined);
    });
  });
  const view = await createProgressView();
  view.show(`${name}: starting`);
  const site = await Promise.race([open(config, startAlone, view, name), interrupted]);
  try {
    const ended = site && (await Promise.race([follow(site, view, interrupt.signal), interrupted]));
    view.end();
    if (ended !== undefined) return tell(ended);
  } finally {
    view.end();
    if (site && !interrupt.signal.aborted) await site.close();
  }
  if (site) process.stderr.write(`${site.isServed ? left.served : left.alone}\n`);
  if (site && !site.isServed) await Promise.race([site.close(), delay(LEAVE)]);
  process.exit(EXIT.interrupted);
}
