// The log of the process: JSON, or lines for a person at a terminal.
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { createLogSink } from '../lib/logger.ts';

/** A log, and how it is ended. */
export interface OpenLog {
  readonly log: Logger;
  /** Resolves when all lines are written. */
  close(): Promise<void>;
}

/** How lines look at a terminal; undefined elsewhere: JSON. */
async function lineFormat(): Promise<((line: string) => string) | undefined> {
  if (!process.stdout.isTTY) return undefined;
  // Only here: it takes 12 MiB.
  const { terminalFormat } = await import('./terminal-line.ts');
  return terminalFormat({ isColoured: !process.env['NO_COLOR'] });
}

/** Opens the log, or takes the `given` one, which its owner closes; writes the warnings of the configuration. */
export async function openLog(config: Config, given: Logger | undefined): Promise<OpenLog> {
  const sink = given ? undefined : createLogSink(config.logLevel, config.siteName, await lineFormat());
  const log = given ?? sink!.logger;
  for (const warning of config.warnings) log.warn(warning);
  return { log, close: async () => sink?.close() };
}
