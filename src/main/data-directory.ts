// The data directory: this process's alone, and watched for as long as it runs.
import { lockDirectory, type DirectoryLock } from '../lib/directory-lock.ts';
import type { Log } from '../lib/log.ts';

// How often (ms) the directory is looked at.
const LOOK = 1_000;

/** Spool and database are one process's: another would take them for what a dead one left. @throws where one has it. */
export async function holdDataDirectory(dataDir: string): Promise<DirectoryLock> {
  const lock = await lockDirectory(dataDir);
  if (lock) return lock;
  const advice = 'stop that one first, or give each a directory of its own';
  throw new Error(`GEO_DATA_DIR: another process uses ${dataDir}: ${advice}`);
}

/** Looks at the directory until it is told to stop, and logs what becomes of it. */
export function watchDataDirectory(lock: DirectoryLock, log: Log): () => void {
  let last: string | undefined;

  async function look(): Promise<void> {
    const trouble = await lock.look();
    if (trouble !== last && trouble !== undefined) log.error({ reason: trouble }, 'the data directory is lost');
    if (trouble !== last && trouble === undefined) log.info({}, 'the data directory is back');
    last = trouble;
  }

  const timer = setInterval(() => void look(), LOOK);
  timer.unref();
  return () => clearInterval(timer);
}
