// The parser of the data directory, and its creation.
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { systemReason } from './system-reason.ts';
import { type Parser, WrongValue } from './variable.ts';

/** The absolute path of a directory that was written to for a trial; what the trial made is gone again. */
export const writableDirectory: Parser<string> = {
  allowed: 'a directory that this user can create or write to',
  parse(text, { cwd }) {
    const path = resolve(cwd(), text);
    try {
      tryToWrite(path);
    } catch (cause) {
      throw new WrongValue(`cannot be written to (${systemReason(cause)})`, undefined, { cause });
    }
    return path;
  },
};

/** Creates a directory, for this user only since private images pass through it, and those above; gives the topmost that was missing. */
export function createDirectory(path: string): string | undefined {
  return mkdirSync(path, { recursive: true, mode: 0o700 });
}

// Permissions alone do not tell (read-only mounts, quotas, root): only writing does.
function tryToWrite(path: string): void {
  const created = createDirectory(path);
  try {
    rmdirSync(mkdtempSync(join(path, '.geo-trial-')));
  } finally {
    if (created !== undefined) removeUpTo(created, path);
  }
}

function removeUpTo(top: string, path: string): void {
  try {
    for (let current = path; current.length >= top.length; current = dirname(current)) rmdirSync(current);
  } catch {
    // Somebody else has begun to use it, so it may stay.
  }
}
