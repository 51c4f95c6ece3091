// Commands that take their time: the running server does the work, or a proxy of this process alone, and is followed.
import type { Config } from '../config/config.ts';
import { NoServer } from './admin-client.ts';
import { EXIT } from './exit-code.ts';
import { createProgressView, type ProgressView } from './progress.ts';
import { openServer, type Site } from './site.ts';

/** Starts a proxy for this command alone; answers how to ask it, and how to end it. */
export type StartAlone = (config: Config) => Promise<Site>;

/** Gives the work's order and follows it to its end; undefined when `signal` came first. */
export type Follow<T> = (site: Site, view: ProgressView, signal: AbortSignal) => Promise<T | undefined>;

/** What is said and answered in the end. */
export interface Telling<T> {
  /** Tells how it ended; answers the exit code. @throws Error with why it ended early, in a line */
  readonly tell: (ended: T) => number;
  /** What a signal leaves behind: at a server, and where this process did the work. */
  readonly left: { readonly served: string; readonly alone: string };
}

/** How often (ms) the work is looked at. */
export const LOOK_EVERY = 500;

/** Follows a work to its end, or until a signal; answers the exit code. */
export async function runFollowed<T>(
  config: Config,
  startAlone: StartAlone,
  follow: Follow<T>,
  { tell, left }: Telling<T>,
): Promise<number> {
  const interrupt = new AbortController();
  const stop = (): void => {
    if (interrupt.signal.aborted) process.exit(EXIT.interrupted);
    interrupt.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  const site = await openServer(config).catch((error: unknown) => {
    if (error instanceof NoServer) return startAlone(config);
    throw error;
  });
  const view = await createProgressView();
  try {
    const ended = await follow(site, view, interrupt.signal);
    if (ended !== undefined) return tell(ended);
    process.stderr.write(`${site.isServed ? left.served : left.alone}\n`);
    return EXIT.interrupted;
  } finally {
    view.end();
    await site.close();
  }
}
