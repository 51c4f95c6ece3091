// The parsers of directories: our own for data, with its creation, and the local registry's storage.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, statSync } from 'node:fs';
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

// Where Distribution's filesystem storage keeps everything, below its `rootdirectory`.
const REGISTRY_LAYOUT = 'docker/registry/v2';

/** The absolute path of a registry's filesystem storage root that this user can read. */
export const registryRoot: Parser<string> = {
  allowed: `the rootdirectory of the local registry's filesystem storage, with ${REGISTRY_LAYOUT} below it, readable by this user`,
  parse(text, { cwd }) {
    const path = resolve(cwd(), text);
    const layout = join(path, REGISTRY_LAYOUT);
    try {
      // Trying tells more than permissions do: `access` asks for the real user, not for the effective one.
      for (const name of readdirSync(layout)) statSync(join(layout, name));
    } catch (cause) {
      const isMissing = /^ENO(?:ENT|TDIR)$/.test((cause as NodeJS.ErrnoException).code ?? '');
      const problem = isMissing ? `has no ${REGISTRY_LAYOUT}` : `cannot be read (${systemReason(cause)})`;
      throw new WrongValue(problem, undefined, { cause });
    }
    return path;
  },
};

/** Creates a directory, for this user only since private images pass through it, and those above; gives the topmost that was missing. */
export function createDirectory(path: string): string | undefined {
  // One directory at a time: Node's `recursive` never ends where a parent exists and takes no entries (`/proc/foo`).
  const missing: string[] = [];
  for (let current = path; !existsSync(current); current = dirname(current)) missing.unshift(current);
  for (const directory of missing.length === 0 ? [path] : missing) makeDirectory(directory);
  return missing[0];
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
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
