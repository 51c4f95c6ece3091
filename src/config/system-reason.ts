// The operating system's reason for an error, for lines that operators read.
import { getSystemErrorMessage } from 'node:util';

/** A system error's reason without its code and path, `permission denied`; of any other error the message. */
export function systemReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { errno } = error as NodeJS.ErrnoException;
  return (typeof errno === 'number' ? getSystemErrorMessage(errno) : undefined) ?? error.message;
}
