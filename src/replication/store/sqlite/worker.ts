// The program of one database thread. It opens the database with the first batch: an error of opening is the answer to
// these calls, and the next batch tries again.
import type { DatabaseSync } from 'node:sqlite';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { BATCH_MAX, readEach, writeTogether, type Call, type Result, type Run } from './batch.ts';
import { openDatabase } from './database.ts';
import { failureOf } from './failure.ts';
import { notePresence } from './presence.ts';
import { FACT_READS, FACT_WRITES, PAGED_WRITES, READS, WRITES } from './operations.ts';
import { createPrepare, type Prepare } from './statements.ts';

/** What a thread gets at its start. */
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
let checkPresence = (): void => undefined;

function open(): DatabaseSync {
  const opened = openDatabase(file, { isReader });
  const prepare = createPrepare(opened);
  run = ({ name, args }) => operations[name]!(prepare, ...args);
  if (!isReader) checkPresence = notePresence(file);
  return opened;
}

function answer(calls: readonly Call[]): readonly Result[] {
  try {
    database ??= open();
    if (isReader) return readEach(run, calls);
    const results = writeTogether(database, run, calls);
    checkPresence();
    return results;
  } catch (error) {
    return calls.map(() => ({ failure: failureOf(error) }));
  }
}

type Message = readonly Call[] | 'close';

/**
 * Adds the calls that came meanwhile to the batch, up to twice the bound, so that one commit serves them all. Reads are
 * answered as they come.
 */
function takeMore(first: readonly Call[]): readonly Call[] {
  const calls = [...first];
  if (isReader) return calls;
  while (calls.length < BATCH_MAX) {
    // It closes only when all its calls are answered, so that these are calls.
    const more = receiveMessageOnPort(port)?.message as readonly Call[] | undefined;
    if (!more) break;
    calls.push(...more);
  }
  return calls;
}

port.on('message', (message: Message) => {
  if (message !== 'close') return port.postMessage(answer(takeMore(message)));
  database?.close();
  port.close();
});
