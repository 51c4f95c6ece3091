// Writing a site's files: none that is there is replaced unless told, and those with secrets are for few.
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A file to be written, by its name in the directory. */
export interface PlannedFile {
  readonly name: string;
  readonly text: string;
  readonly mode: number;
  /** For the proxy's group, where this is root and that group exists. */
  readonly isForProxy?: true;
}

/** What writing a file comes to. */
export type FileState = 'new' | 'unchanged' | 'differs';

/** The proxy's user and group. */
export const USER = 'geo-registry-proxy';

/** The text of a file of the directory; undefined where it is not there. */
export function readIn(directory: string, name: string): string | undefined {
  const path = join(directory, name);
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

/** How each file is now. */
export function stateOf(directory: string, { name, text }: PlannedFile): FileState {
  const now = readIn(directory, name);
  if (now === undefined) return 'new';
  return now === text ? 'unchanged' : 'differs';
}

/** The number of a group of this machine. */
export function groupId(name: string, groups = '/etc/group'): number | undefined {
  if (!existsSync(groups)) return undefined;
  const line = readFileSync(groups, 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${name}:`));
  const id = Number(line?.split(':')[2] ?? NaN);
  return Number.isInteger(id) ? id : undefined;
}

/** Writes files into a directory, which is made where it is missing. */
export function writeFiles(directory: string, files: readonly PlannedFile[]): void {
  mkdirSync(directory, { recursive: true, mode: 0o750 });
  const group = process.getuid?.() === 0 ? groupId(USER) : undefined;
  for (const { name, text, mode, isForProxy } of files) {
    const path = join(directory, name);
    // Before the secret is in it.
    if (existsSync(path)) chmodSync(path, mode);
    writeFileSync(path, text, { mode });
    // The umask may have taken what the group needs.
    chmodSync(path, mode);
    if (isForProxy && group !== undefined) chownSync(path, statSync(path).uid, group);
  }
}
