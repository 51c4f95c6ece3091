import type { Log } from '../../../src/lib/log.ts';

const quiet = (): void => undefined;

/** A log that nobody reads. */
export const silent: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
