// How many files a configuration needs to have open at once, and how many there may be.

/** What the number depends on. */
export interface OpenFilesOptions {
  readonly fetchConnections: number;
  readonly replicationConcurrency: number;
}

// The process itself has about 60: 18 listening sockets, the database twice, threads, pipes. The rest is for what comes
// and goes: keys, credential helpers, probes, the status page.
const OWN = 128;
// A connection to the primary may be a blob's, with its file in the spool and the connection of its upload.
const PER_FETCH = 3;
// Blobs of a copy that are looked at at once, each over a connection to the secondary.
const PER_JOB = 4;
// Clients that are served at once at the least, each with a connection, and one to the secondary or a file of it.
const CLIENTS = 128;
const PER_CLIENT = 2;

/** From how many on no more are recommended: for some thousand clients. */
export const OPEN_FILES_GOOD = 4_096;

/** What to do about a limit that is too low. */
export const OPEN_FILES_ADVICE =
  'LimitNOFILE=65536 in the unit, ulimit -n 65536 before the start, --ulimit nofile=65536 of the container';

/** Open files without which this configuration cannot work as it says. */
export function openFilesNeeded({ fetchConnections, replicationConcurrency }: OpenFilesOptions): number {
  return OWN + CLIENTS * PER_CLIENT + fetchConnections * PER_FETCH + replicationConcurrency * PER_JOB;
}

/**
 * The limit of open files in the text of `/proc/<pid>/limits`: the soft one, which Node raises to the hard one when it
 * starts. Infinity for none; undefined where the text does not tell.
 */
export function openFilesLimit(limits: string): number | undefined {
  const text = /^Max open files\s+(\d+|unlimited)\s/m.exec(limits)?.[1];
  return text === 'unlimited' ? Infinity : text === undefined ? undefined : Number(text);
}

/** Why a limit is too low for a configuration, with what to do; undefined where it is not. */
export function tooFewOpenFiles(limit: number, options: OpenFilesOptions): string | undefined {
  const needed = openFilesNeeded(options);
  if (limit >= needed) return undefined;
  const { fetchConnections, replicationConcurrency } = options;
  const settings = `GEO_FETCH_CONNECTIONS is ${fetchConnections}, GEO_REPLICATION_CONCURRENCY ${replicationConcurrency}`;
  return `${limit} open files are allowed, and this configuration needs ${needed} (${settings}): ${OPEN_FILES_ADVICE}`;
}
