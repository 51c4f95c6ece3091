import { expect, onTestFinished, test, vi } from 'vitest';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { StoreUnavailable } from '../../../src/replication/rows.ts';
import { wish } from './given.ts';
import { openSqlite, temporaryFile } from './sqlite-files.ts';
import { watchedThreads } from './watched-threads.ts';
import { waitFor } from '../../support/tool.ts';

/** A thread that dies at once. */
function dyingWorker(): Worker {
  return new Worker("throw new Error('no memory')", { eval: true });
}

test('a thread that dies fails the calls that it had, and another takes its place', async () => {
  const threads = watchedThreads(300);
  const store = await openSqlite(temporaryFile(), threads.options);
  await store.mark([wish('before')], 100);
  // More than go over at once: some are being worked on, the others wait.
  const lost = Promise.allSettled(Array.from({ length: 700 }, (_, index) => store.mark([wish(`v${index}`)], 100)));
  const [writer] = threads.workers;
  await writer!.terminate();
  for (const result of await lost)
    expect(result).toEqual({ status: 'rejected', reason: expect.any(StoreUnavailable) as StoreUnavailable });
  await waitFor(() => store.mark([wish('after')], 100).then(() => true), { what: 'another thread' });
  expect((await store.list({})).map((row) => row.reference)).toEqual(['before', 'after']);
});

test('a thread that cannot be started is told with its reason', async () => {
  const error = await openSqlite(temporaryFile(), { startWorker: dyingWorker }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(StoreUnavailable);
  expect((error as Error).cause).toMatchObject({ message: 'no memory' });
});

test('a thread that dies again and again is started once a second at the most', async () => {
  let starts = 0;
  const startWorker = (url: URL, options: WorkerOptions): Worker => {
    starts += 1;
    return starts === 1 ? new Worker(url, options) : dyingWorker();
  };
  const store = await openSqlite(temporaryFile(), { startWorker });
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  // The reader is started by its first call, and after that no sooner than a second later.
  for (const expected of [2, 3, 4]) {
    for (let tries = 0; tries < 5; tries += 1) await expect(store.repositories()).rejects.toThrow(StoreUnavailable);
    expect(starts).toBe(expected);
    vi.advanceTimersByTime(1_000);
  }
});

test('threads that do not work are told of by what they are for, until they do', async () => {
  let dying: 'reader' | 'writer' | undefined = 'reader';
  const threads = watchedThreads();
  const startWorker = (url: URL, options: WorkerOptions): Worker => {
    const { isReader } = options.workerData as { isReader: boolean };
    return dying === (isReader ? 'reader' : 'writer') ? dyingWorker() : threads.options.startWorker!(url, options);
  };
  const store = await openSqlite(temporaryFile(), { startWorker });
  const untilWell = (): Promise<true> =>
    waitFor(async () => (await store.troubles()).length === 0, { what: 'the store to be well' });
  expect(await store.troubles()).toEqual(['what is stored cannot be read: the thread of the database ended']);
  dying = 'writer';
  await untilWell();
  await threads.workers[0]!.terminate();
  expect(await store.troubles()).toEqual(['events cannot be stored: the thread of the database ended']);
  dying = undefined;
  await untilWell();
});
