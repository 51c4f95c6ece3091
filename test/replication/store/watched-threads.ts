// The store's threads with slow commits, and a look at them.
import { Worker } from 'node:worker_threads';
import type { SqliteStoreOptions } from '../../../src/replication/store/sqlite.ts';

/** What to preload where commits are to be slow. */
export const slowCommits = new URL('./slow-commits.ts', import.meta.url).href;

/** Threads that were started, and what they did. */
export interface WatchedThreads {
  readonly options: SqliteStoreOptions;
  readonly workers: readonly Worker[];
  readonly commits: number;
}

/** Threads whose commits take `delay` ms longer. */
export function watchedThreads(delay = 0): WatchedThreads {
  const commits = new Int32Array(new SharedArrayBuffer(4));
  const workers: Worker[] = [];
  return {
    workers,
    get commits() {
      return Atomics.load(commits, 0);
    },
    options: {
      startWorker(url, options) {
        const worker = new Worker(url, {
          ...options,
          execArgv: [...(options.execArgv ?? []), '--import', slowCommits],
          env: { ...process.env, COMMIT_DELAY: String(delay) },
          workerData: { ...options.workerData, commits },
        });
        workers.push(worker);
        return worker;
      },
    },
  };
}
