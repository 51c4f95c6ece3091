// A directory lock: one process at a time, also after a crash, and also when the directory's content is removed.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdirSync, openSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** A directory that this process has locked. */
export interface DirectoryLock {
  /** Checks that the directory is still the one that was locked; resolves with the reason, for people, where it is not. */
  look(): Promise<string | undefined>;
  release(): void;
}

/** SQLite's result code (sqlite3.h) where another connection has the lock. */
const SQLITE_BUSY = 5;
// Keeps the databases referenced: one that is collected as garbage is closed, and its lock released.
const held = new Set<DatabaseSync>();

/** The function that releases a lock; undefined where another process has the lock. */
type Hold = (() => void) | undefined;

const NOTHING = (): void => undefined;

function idOf({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${dev}:${ino}`;
}

/** Locks a file through SQLite, as Node has no file locks: it ends with the process, and holds between containers. */
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
 * Locks a name by an abstract socket (unix(7)), which is independent of files. It holds within one network namespace. On
 * systems without abstract sockets there is only the file's lock.
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

/** A path with its mount namespace and root, since other containers have other directories at the same path. */
function pathIdOf(directory: string): string {
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

/** The identity of a file; undefined where there is none. @throws other errors of the file system. */
async function idAt(path: string): Promise<string | undefined> {
  try {
    return idOf(await stat(path, { bigint: true }));
  } catch (error) {
    if (/^ENO(?:ENT|TDIR)$/.test((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

class HeldDirectory implements DirectoryLock {
  readonly #directory: string;
  readonly #file: string;
  readonly #ours: string;
  readonly #release: () => void;
  /** The lock file that replaced ours. */
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

  /** Locks the file that is at the path now, made where it is missing; false where another process has it. */
  #takeLater(): boolean {
    try {
      const letGo = holdFile(this.#file);
      if (!letGo) return false;
      this.#later?.letGo();
      this.#later = { id: idOf(statSync(this.#file, { bigint: true })), letGo };
    } catch {
      // No directory or no space. A process that makes the directory again finds its path locked.
    }
    return true;
  }
}

/**
 * Locks a directory, made where it is missing, for this process; undefined where another process has it. There are three
 * locks: on a file in it, which holds between containers; on the directory's inode, in case its content is removed; and on
 * its path, in case it is removed and made again. @throws errors of the file system.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock | undefined> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'lock.db');
  // Stays open while it is locked, so that no other directory gets its inode.
  const descriptor = openSync(directory, 'r');
  const release = await holdAll([
    () => () => closeSync(descriptor),
    () => holdName(`inode ${idOf(fstatSync(descriptor, { bigint: true }))}`),
    () => holdName(`path ${pathIdOf(directory)}`),
    () => holdFile(file),
  ]);
  return release && new HeldDirectory(directory, file, release);
}
