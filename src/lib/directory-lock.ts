// A directory lock: one process at a time, whatever way the one before ended, and whatever becomes of the directory's content.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdirSync, openSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** A directory that this process has. */
export interface DirectoryLock {
  /** Looks whether the directory is still the one that was locked; the reason, for people, where it is not. */
  look(): Promise<string | undefined>;
  release(): void;
}

/** The primary result code of SQLite (sqlite3.h): what another connection holds. */
const SQLITE_BUSY = 5;
// A database that nobody refers to is closed, and its lock gone.
const held = new Set<DatabaseSync>();

/** Something that is held, and how to let it go; undefined where another process has it. */
type Hold = (() => void) | undefined;

const NOTHING = (): void => undefined;

function idOf({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${dev}:${ino}`;
}

/** Node has no file locks of its own: SQLite's are the kernel's, and end with the process, in whatever container it was. */
function holdFile(path: string): Hold {
  const lock = new DatabaseSync(path, { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
  held.add(lock);
  return () => {
    if (held.delete(lock)) lock.close();
  };
}

/**
 * Holds a name of the kernel's (an abstract socket, unix(7)), which no removal of files takes away. The names are of one
 * network namespace; where the system has none, the file has to do.
 */
async function holdName(text: string): Promise<Hold> {
  if (process.platform !== 'linux') return NOTHING;
  const server: Server = createServer((socket) => socket.destroy());
  const digest = createHash('sha256').update(text).digest('hex');
  try {
    await once(server.listen(`\0geo-registry-proxy-${digest}`), 'listening');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? undefined : NOTHING;
  }
  server.unref();
  return () => void server.close();
}

/** What tells a place in the file system from others of the same path: another container has another mount namespace. */
function placeOf(directory: string): string {
  const mounts = process.platform === 'linux' ? readlinkSync('/proc/self/ns/mnt') : '';
  return `${mounts} ${idOf(statSync('/', { bigint: true }))} ${realpathSync(directory)}`;
}

/** All or nothing. */
async function holdAll(takes: readonly (() => Hold | Promise<Hold>)[]): Promise<Hold> {
  const holds: (() => void)[] = [];
  const release = (): void => {
    for (const letGo of holds.splice(0)) letGo();
  };
  try {
    for (const take of takes) {
      const hold = await take();
      if (!hold) return void release();
      holds.push(hold);
    }
    return release;
  } catch (error) {
    release();
    throw error;
  }
}

/** The identity of a file; undefined where there is none. @throws what else the file system says. */
async function idAt(path: string): Promise<string | undefined> {
  try {
    return idOf(await stat(path, { bigint: true }));
  } catch (error) {
    if (/^ENO(?:ENT|TDIR)$/.test((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** @see DirectoryLock */
class HeldDirectory implements DirectoryLock {
  readonly #directory: string;
  readonly #file: string;
  readonly #ours: string;
  readonly #release: () => void;
  /** The lock file that came in the place of ours. */
  #later: { readonly id: string; readonly letGo: () => void } | undefined;
  #isReleased = false;
  #looking: Promise<string | undefined> | undefined;

  constructor(directory: string, file: string, release: () => void) {
    this.#directory = directory;
    this.#file = file;
    this.#release = release;
    this.#ours = idOf(statSync(file, { bigint: true }));
  }

  look(): Promise<string | undefined> {
    return (this.#looking ??= this.#look().finally(() => (this.#looking = undefined)));
  }

  async #look(): Promise<string | undefined> {
    let id: string | undefined;
    try {
      id = await idAt(this.#file);
    } catch (error) {
      return `${this.#directory} cannot be looked at (${(error as Error).message})`;
    }
    if (this.#isReleased || id === this.#ours) return undefined;
    const what = `the content of ${this.#directory} was removed or replaced while it was in use`;
    const isHeld = this.#later !== undefined && this.#later.id === id;
    return isHeld || this.#takeLater() ? `${what}: restart the proxy` : `${what}, and another process uses it now`;
  }

  release(): void {
    this.#isReleased = true;
    this.#later?.letGo();
    this.#release();
  }

  /** Takes the lock file that is there now, or makes one, so that no other process begins; false where one has. */
  #takeLater(): boolean {
    try {
      const letGo = holdFile(this.#file);
      if (!letGo) return false;
      this.#later?.letGo();
      this.#later = { id: idOf(statSync(this.#file, { bigint: true })), letGo };
    } catch {
      // There is no directory, or no room: whoever makes one finds its path taken.
    }
    return true;
  }
}

/**
 * Takes a directory, made where it is missing, for this process; undefined where another process has it. It is held three
 * times: by a lock on a file in it, which holds in other containers too; by the directory's inode, for when all that is in
 * it is removed; and by its path, for when it is removed and made anew. @throws what the file system says.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock | undefined> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'lock.db');
  // Open for as long as it is held, so that no other directory gets its inode.
  const descriptor = openSync(directory, 'r');
  const release = await holdAll([
    () => () => closeSync(descriptor),
    () => holdName(`inode ${idOf(fstatSync(descriptor, { bigint: true }))}`),
    () => holdName(`path ${placeOf(directory)}`),
    () => holdFile(file),
  ]);
  return release && new HeldDirectory(directory, file, release);
}
