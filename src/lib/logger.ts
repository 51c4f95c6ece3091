// The log: JSON lines, or readable ones on a terminal. A log that is not read never stops the program.
import { pino, type Logger } from 'pino';

/** A logger and its orderly end. */
interface LogSink {
  readonly logger: Logger;
  /** Writes what is left, for half a second at most. */
  close(): Promise<void>;
}

// Lines are written in batches (bytes, ms): one write a line would cost as much as the pull that it is about.
const TOGETHER = 4_096;
const WAIT_MAX = 50;
// Bytes that wait for a slow reader; beyond that lines are dropped.
const BUFFER_MAX = 4 * 1024 * 1024;
const CLOSE_TIMEOUT = 500;

/** We log no headers; this removes tokens in case an error's fields hold some. */
const REDACTED = [
  'authorization',
  'headers.authorization',
  '*.authorization',
  '*.headers.authorization',
  'token',
  '*.token',
];

/** Logs to standard output, unlike pino's default without blocking; `format` turns a JSON line into other text. */
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
  // A reader that is gone (EPIPE) ends the log, not the service.
  destination.on('error', () => undefined);
  return {
    logger: pino(options, format ? { write: (line) => void destination.write(format(line)) } : destination),
    async close() {
      await new Promise<void>((resolve) => {
        setTimeout(resolve, CLOSE_TIMEOUT).unref();
        destination.flush(() => resolve());
      });
      isClosing = true;
    },
  };
}
