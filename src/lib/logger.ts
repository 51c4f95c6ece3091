// The log: JSON lines, or readable ones when a person looks. A log that nobody reads never stops the program.
import { pino, type Logger } from 'pino';

/** A logger and its orderly end. */
export interface LogSink {
  readonly logger: Logger;
  /** Writes what is left, as far as it is taken within a moment. */
  close(): Promise<void>;
}

// Lines are written together: one by one each would cost as much as the pull that it tells of (bytes, ms).
const TOGETHER = 4_096;
const WAIT_MAX = 50;
// Bytes of lines that wait for a slow reader; beyond it lines are dropped.
const BUFFER_MAX = 4 * 1024 * 1024;
const CLOSE_PATIENCE = 500;

/** Headers are never logged by us; should one slip into an error's fields, tokens are cut out all the same. */
const REDACTED = [
  'authorization',
  'headers.authorization',
  '*.authorization',
  '*.headers.authorization',
  'token',
  '*.token',
];

/**
 * Logs to standard output, by `format` where that makes other text of lines than JSON. pino's own default writes there
 * blocking: a stalled reader would stall every pull.
 */
export function createLogSink(level: string, site: string, format?: (line: string) => string): LogSink {
  const options = { level, base: { site }, redact: REDACTED };
  let isClosing = false;
  const destination = pino.destination({
    dest: 1,
    sync: false,
    minLength: TOGETHER,
    periodicFlush: WAIT_MAX,
    maxLength: BUFFER_MAX,
    retryEAGAIN: () => !isClosing,
  });
  // A reader that is gone (EPIPE) takes the log with it, not the service.
  destination.on('error', () => undefined);
  return {
    logger: pino(options, format ? { write: (line) => void destination.write(format(line)) } : destination),
    async close() {
      await new Promise<void>((resolve) => {
        setTimeout(resolve, CLOSE_PATIENCE).unref();
        destination.flush(() => resolve());
      });
      isClosing = true;
    },
  };
}
