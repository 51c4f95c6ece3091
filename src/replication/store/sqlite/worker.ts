// The thread that works one connection. It opens the database with the first batch, so that what stood in the way of
// opening it is answered to the callers, and tried again with the next.
import type { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { readEach, writeTogether, type Call, type Result, type Run } from './batch.ts';
import { openDatabase } from './database.ts';
import { failureOf } from './failure.ts';
import { FACT_READS, FACT_WRITES, PAGED_WRITES, READS, WRITES } from './operations.ts';
import { createPrepare, type Prepare } from './statements.ts';

/** What a thread is told at its start. */
export interface ThreadData {
  readonly file: string;
  readonly isReader: boolean;
}

type Operation = (prepare: Prepare, ...args: readonly unknown[]) => unknown;

const port = parentPort!;
const { file, isReader } = workerData as ThreadData;
const operations = (isReader
  ? { ...READS, ...FACT_READS }
  : { ...WRITES, ...PAGED_WRITES, ...FACT_WRITES }) as unknown as Readonly<Record<string, Operation>>;

let database: DatabaseSync | undefined;
let run: Run = () => undefined;

function open(): DatabaseSync {
  const opened = openDatabase(file, { isReader });
  const prepare = createPrepare(opened);
  run = ({ name, args }) => operations[name]!(prepare, ...args);
  return opened;
}

function answer(calls: readonly Call[]): readonly Result[] {
  try {
    database ??= open();
  } catch (error) {
    return calls.map(() => ({ failure: failureOf(error) }));
  }
  return isReader ? readEach(run, calls) : writeTogether(database, run, calls);
}

port.on('message', (message: readonly Call[] | 'close') => {
  if (message !== 'close') return port.postMessage(answer(message));
  database?.close();
  port.close();
});
