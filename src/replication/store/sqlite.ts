// The row store on SQLite. Two threads work on the database, one that writes and one that reads, so that neither a slow
// commit nor a long count stalls the event loop, and no read waits for a commit.
import { Worker, type WorkerOptions } from 'node:worker_threads';
import type { Log } from '../../lib/log.ts';
import type { RowFilter } from '../row-views.ts';
import type { RowStore } from '../rows.ts';
import { READS, WRITES } from './sqlite/operations.ts';
import { threadFile } from './sqlite/thread-file.ts';
import { StoreThread } from './sqlite/thread.ts';
import type { ThreadData } from './sqlite/worker.ts';

/** What the store needs; the folder of `file` is created where it is missing. */
export interface SqliteStoreDeps {
  readonly file: string;
  readonly log: Log;
}

/** Knobs. */
export interface SqliteStoreOptions {
  /** Starts a thread; `new Worker` unless told. */
  readonly startWorker?: (url: URL, options: WorkerOptions) => Worker;
}

// Node 24 warns of node:sqlite, which Node 26 does not.
const QUIET = ['--disable-warning=ExperimentalWarning'];

// Many rows are changed in pages of this size, so that an event is committed in time all the same.
const PAGE = 500;

// Facts that are written and read to see whether the database works. The one that is written is JSON of 256 KiB.
const TRIAL = 'store.trial';
const TRIAL_VALUE = JSON.stringify('-'.repeat(256 * 1024));
const NO_FACT = 'store.none';

/**
 * A write that changes nothing shows whether the files are there. After a failure only a real write shows whether the
 * disk takes one. It is large, since a nearly full disk may take one that is smaller than an event.
 */
async function tryWriter(writer: StoreThread): Promise<void> {
  if (writer.trouble === undefined) return writer.try('mark', [[], 0], { isProof: false });
  await writer.try('setFact', [TRIAL, TRIAL_VALUE], { isProof: true });
  if (writer.trouble === undefined) await writer.try('setFact', [TRIAL, 'null'], { isProof: false });
}

function forward<Name extends keyof RowStore>(
  thread: StoreThread,
  operations: Readonly<Record<Name, unknown>>,
): Pick<RowStore, Name> {
  const methods = Object.keys(operations).map((name) => [name, (...args: unknown[]) => thread.call(name, args)]);
  return Object.fromEntries(methods) as Pick<RowStore, Name>;
}

/** Changes all rows that match, page by page; answers how many. */
async function changePaged(thread: StoreThread, name: string, filter: RowFilter, now: number): Promise<number> {
  const { limit = Infinity } = filter;
  let [changed, after] = [0, filter.after ?? 0];
  for (;;) {
    const page = Math.min(PAGE, limit - changed);
    const ids = (await thread.call(name, [{ ...filter, after, limit: page }, now])) as readonly number[];
    changed += ids.length;
    if (ids.length < page || changed >= limit) return changed;
    after = Math.max(...ids);
  }
}

async function readFact(reader: StoreThread, name: string): Promise<unknown> {
  const json = (await reader.call('getFact', [name])) as string | undefined;
  return json === undefined ? undefined : JSON.parse(json);
}

/** The calls that only read a database. */
export type SqliteReader = Pick<RowStore, keyof typeof READS | 'getFact' | 'close'>;

/** Reads the database beside the process that it belongs to. `close` it. Calls reject where it cannot be read. */
export function createSqliteReader({ file, log }: SqliteStoreDeps): SqliteReader {
  const workerData: ThreadData = { file, isReader: true };
  const reader = new StoreThread(() => new Worker(threadFile, { workerData, execArgv: QUIET }), log);
  return {
    ...forward(reader, READS),
    getFact: (name) => readFact(reader, name),
    close: () => reader.close(),
  };
}

/** The store, and its health. */
export interface SqliteStore extends RowStore {
  /** Asks both threads; what is wrong, a reason each. Where a write failed another one is tried. */
  troubles(): Promise<readonly string[]>;
}

/**
 * Opens the store. `close` it, or its threads keep the process alive.
 * @throws NewerDatabase
 * @throws StoreUnavailable when the database cannot be opened.
 */
export async function createSqliteStore(
  { file, log }: SqliteStoreDeps,
  { startWorker = (url, options) => new Worker(url, options) }: SqliteStoreOptions = {},
): Promise<SqliteStore> {
  const threadFor = (data: ThreadData): StoreThread =>
    new StoreThread(() => startWorker(threadFile, { workerData: data, execArgv: QUIET }), log);
  const writer = threadFor({ file, isReader: false });
  const reader = threadFor({ file, isReader: true });

  const close = async (): Promise<void> => {
    await reader.close();
    // The last connection that is closed removes the journal.
    await writer.close();
  };
  try {
    // Opens the database; the reader's is opened with the first read.
    await writer.call('mark', [[], 0]);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    ...forward(writer, WRITES),
    ...forward(reader, READS),
    async retry(filter, now) {
      const tried = await changePaged(writer, 'retry', filter, now);
      if (filter.states) return tried;
      const waiting = { ...filter, states: ['pending'], isWaiting: true } as const;
      const woken = await changePaged(writer, 'retry', waiting, now);
      return tried + woken + (await changePaged(writer, 'endLongWaits', filter, now));
    },
    endLongWaits: (now) => changePaged(writer, 'endLongWaits', {}, now),
    confirmRemovals: (filter, now) => changePaged(writer, 'confirmRemovals', filter, now),
    markAllUnknown: (now) => changePaged(writer, 'markAllUnknown', {}, now),
    getFact: (name) => readFact(reader, name),
    async setFact(name, value) {
      await writer.call('setFact', [name, JSON.stringify(value) ?? 'null']);
    },
    async troubles() {
      await Promise.all([tryWriter(writer), reader.try('getFact', [NO_FACT], { isProof: true })]);
      return [
        ...(writer.trouble === undefined ? [] : [`events cannot be stored: ${writer.trouble}`]),
        ...(reader.trouble === undefined ? [] : [`what is stored cannot be read: ${reader.trouble}`]),
      ];
    },
    close,
  };
}
