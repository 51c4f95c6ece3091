// To be preloaded (`--import`) by whatever works a database: makes each commit take COMMIT_DELAY ms longer, as on a slow
// disk, and counts commits in `workerData.commits` where a test has put a counter there.
import { DatabaseSync } from 'node:sqlite';
import { workerData } from 'node:worker_threads';

const delay = Number(process.env['COMMIT_DELAY'] ?? 0);
const commits = (workerData as { commits?: Int32Array } | null)?.commits;
const never = new Int32Array(new SharedArrayBuffer(4));
const { exec } = DatabaseSync.prototype;

DatabaseSync.prototype.exec = function (this: DatabaseSync, sql: string): void {
  if (sql === 'COMMIT') {
    if (commits) Atomics.add(commits, 0, 1);
    Atomics.wait(never, 0, 0, delay);
  }
  exec.call(this, sql);
};
