// Failures as plain data, since an error loses its class in a message between threads.
import { NewerDatabase, StoreUnavailable } from '../../rows.ts';

/** Why a call failed; `refused`: the call itself was wrong. */
export interface Failure {
  readonly kind: 'unavailable' | 'newer' | 'refused';
  readonly message: string;
}

// SQLITE_ERROR, TOOBIG, CONSTRAINT, MISMATCH, MISUSE, RANGE (sqlite.org/rescode.html): a statement's own fault. All the
// others, such as FULL, IOERR and BUSY, are the database's.
const STATEMENT_FAULTS = new Set([1, 18, 19, 20, 21, 25]);

/** Whether the database failed, not the statement. */
export function isDatabaseFault(error: unknown): boolean {
  const code = (error as { errcode?: unknown }).errcode;
  // The lowest byte is the primary code.
  return typeof code === 'number' && !STATEMENT_FAULTS.has(code & 0xff);
}

/** An error as a message to another thread. */
export function failureOf(error: unknown): Failure {
  const { message } = error as Error;
  if (error instanceof NewerDatabase) return { kind: 'newer', message };
  if (error instanceof StoreUnavailable) return { kind: 'unavailable', message };
  if (isDatabaseFault(error)) return { kind: 'unavailable', message: `the database cannot be used: ${message}` };
  return { kind: 'refused', message };
}

/** The error of a failure. */
export function errorOf({ kind, message }: Failure): Error {
  if (kind === 'newer') return new NewerDatabase(message);
  return kind === 'unavailable' ? new StoreUnavailable(message) : new Error(message);
}
