// A worker over a real store, and work that a test can hold up.
import { onTestFinished } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import type { Outcome } from '../../src/replication/row-queue.ts';
import { PRIORITY, type Row } from '../../src/replication/row.ts';
import type { RowStore } from '../../src/replication/rows.ts';
import { Worker, type WorkerOptions, type WorkerParts, type WorkerSite } from '../../src/replication/worker.ts';
import { waitFor } from '../support/tool.ts';
import { silent } from './store/silent.ts';
import { openSqlite, temporaryFile } from './store/sqlite-files.ts';

export const repository = 'group/project';
export const synced: Outcome = { kind: 'synced', digest: digestOf(Buffer.from('one')), bytes: 0 };
// Longer than any test: whoever relies on it is found out.
export const FOR_EVER = 600_000;

export function open(file = temporaryFile()): Promise<RowStore> {
  return openSqlite(file);
}

export function start(
  parts: Pick<WorkerSite, 'rows'> & Pick<WorkerParts, 'sync'> & Partial<WorkerSite & WorkerParts>,
  options: WorkerOptions = {},
): Worker {
  const site = { log: silent, meter: () => undefined, clock: Date.now, ...parts };
  const worker = new Worker(site, { owner: 'us', ...parts }, { nap: FOR_EVER, ...options });
  onTestFinished(() => worker.close(0));
  return worker;
}

export async function mark(rows: RowStore, ...references: readonly string[]): Promise<void> {
  const marks = references.map((reference) => ({ repository, reference, priority: PRIORITY.event }));
  await rows.mark(marks, Date.now());
}

export async function untilSynced(rows: RowStore, count: number): Promise<void> {
  await waitFor(async () => (await rows.counts(Date.now())).states.synced === count, { what: `${count} synced rows` });
}

/** A gate for work: `arrived` rows wait until it opens. */
export function createHold() {
  const { promise, resolve: open } = Promise.withResolvers<void>();
  const arrived: string[] = [];
  const sync = async (row: Row): Promise<Outcome> => {
    arrived.push(row.reference);
    await promise;
    return synced;
  };
  return { arrived, open, sync };
}
