// The machine that the proxy runs on: open files, and the disk of the data directory.
import { readdir, readFile, stat, statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { Config } from '../config/config.ts';
import {
  OPEN_FILES_ADVICE,
  OPEN_FILES_GOOD,
  openFilesLimit,
  openFilesNeeded,
  type OpenFilesOptions,
} from '../config/open-files.ts';
import { failed, ok, skipped, warning, type Finding } from './finding.ts';

/** What checks need to know of the machine. */
export interface Machine {
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly hostname: () => string;
  /** The number of this process's user, undefined where users have none. */
  readonly uid: () => number | undefined;
  readonly readText: (path: string) => Promise<string>;
  readonly stat: (path: string) => Promise<{ readonly mode: number; readonly uid: number; readonly size: number }>;
  readonly statfs: (
    path: string,
  ) => Promise<{ readonly type: number; readonly bsize: number; readonly bavail: number }>;
}

/** The real machine. */
export const realMachine: Machine = {
  clock: Date.now,
  hostname,
  uid: () => process.getuid?.(),
  readText: (path) => readFile(path, 'utf8'),
  stat,
  statfs: (path) => statfs(path),
};

// From linux/magic.h.
const TMPFS = 0x01021994;
const GIB = 2 ** 30;

/** The text of a process's limits, where it is one of ours: another may have its number by now. */
async function limitsOf(machine: Machine, pid: number): Promise<string | undefined> {
  try {
    const command = await machine.readText(`/proc/${pid}/cmdline`);
    return command.includes('geo-registry-proxy') ? await machine.readText(`/proc/${pid}/limits`) : undefined;
  } catch {
    return undefined;
  }
}

/** Open files that there may be: of the running server (`pid`), else of a process that is started as this one was. */
export async function checkOpenFiles(
  machine: Machine,
  pid: number | undefined,
  config: OpenFilesOptions,
): Promise<Finding> {
  const ofServer = pid === undefined ? undefined : await limitsOf(machine, pid);
  const limits = ofServer ?? (await machine.readText('/proc/self/limits').catch(() => ''));
  const limit = openFilesLimit(limits);
  if (limit === undefined) return skipped('this system does not tell the limit of open files');
  const whose = ofServer
    ? `the server (process ${pid})`
    : 'this process (the limit of the server itself is not known here)';
  const message = `${whose} may have ${limit === Infinity ? 'any number of' : limit} open files`;
  const needed = openFilesNeeded(config);
  if (limit < needed) return failed(`${message}, and this configuration needs ${needed}`, OPEN_FILES_ADVICE);
  if (limit >= OPEN_FILES_GOOD) return ok(message);
  return warning(message, `allow ${OPEN_FILES_GOOD} or more: ${OPEN_FILES_ADVICE}`);
}

/** A directory, or the one above it that is there. */
async function existing(machine: Machine, path: string): Promise<string> {
  const isThere = await machine.stat(path).then(
    () => true,
    () => false,
  );
  return isThere || dirname(path) === path ? path : existing(machine, dirname(path));
}

/** Bytes that the spool's files hold already: they are part of what it may take. */
async function spoolBytes(machine: Machine, dataDir: string): Promise<number> {
  const spool = join(dataDir, 'spool');
  const names = await readdir(spool).catch(() => []);
  const sizes = names.map((name) => machine.stat(join(spool, name)).then(({ size }) => size));
  const settled = await Promise.allSettled(sizes);
  return settled.reduce((sum, result) => sum + (result.status === 'fulfilled' ? result.value : 0), 0);
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}

/** The data directory's disk. That it can be written to is tried whenever the configuration is read. */
export async function checkDataDirectory(
  machine: Machine,
  { dataDir, spoolMax }: Pick<Config, 'dataDir' | 'spoolMax'>,
): Promise<Finding> {
  const path = await existing(machine, dataDir);
  const [{ type, bsize, bavail }, { uid }] = await Promise.all([machine.statfs(path), machine.stat(path)]);
  if (type === TMPFS)
    return warning(
      `${dataDir} is on tmpfs: the spool takes memory, and what replication knows is gone after a restart`,
      'set GEO_DATA_DIR to a directory on a disk',
    );
  const free = bsize * bavail + (await spoolBytes(machine, dataDir));
  const room = `${gib(free)} for the spool, GEO_SPOOL_MAX is ${gib(spoolMax)}`;
  const more = 'make room, or set GEO_SPOOL_MAX to less';
  if (bavail === 0) return failed(`${dataDir}: the disk is full`, more);
  if (free < spoolMax) return warning(`${dataDir}: ${room}`, more);
  const isOthers = machine.uid() === 0 && uid !== 0;
  const who = isOthers ? `; tried as root, it is user ${uid}'s: run doctor as the proxy's user` : '';
  return ok(`${dataDir} can be written to; ${room}${who}`);
}
