// Measures the store on this machine: `node test/replication/store/measure.ts [rows]`. Prints medians and 99th
// percentiles; asserts nothing.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { digestOf } from '../../../src/oci/digest.ts';
import type { Mark, Outcome } from '../../../src/replication/row-queue.ts';
import { PRIORITY } from '../../../src/replication/row.ts';
import type { RowStore } from '../../../src/replication/rows.ts';
import { createSqliteStore } from '../../../src/replication/store/sqlite.ts';
import { silent } from './silent.ts';
import { watchedThreads } from './watched-threads.ts';

const rowCount = Number(process.argv[2] ?? 100_000);
const directory = mkdtempSync(join(tmpdir(), 'geo-measure-'));
const digest = digestOf(Buffer.from('one'));

function mark(index: number, priority: Mark['priority'] = PRIORITY.event): Mark {
  return { repository: `group/project-${index % 2_000}/image`, reference: `v1.${index}`, priority, eventAt: 1 };
}

function summary(times: number[]): string {
  times.sort((a, b) => a - b);
  const at = (share: number): string => times[Math.min(times.length - 1, Math.floor(times.length * share))]!.toFixed(2);
  return `median ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`;
}

async function timed(rounds: number, work: (round: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const begin = performance.now();
    await work(round);
    times.push(performance.now() - begin);
  }
  return times;
}

async function rate(name: string, count: number, work: () => Promise<unknown>): Promise<void> {
  const begin = performance.now();
  await work();
  console.log(`${name}: ${Math.round((count / (performance.now() - begin)) * 1_000)} a second`);
}

/** Calls `work` `perSecond` times a second for `seconds`, whatever the answers take; how long each took. */
async function atRate(perSecond: number, seconds: number, work: (call: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  const calls: Promise<unknown>[] = [];
  const begin = performance.now();
  while (calls.length < perSecond * seconds) {
    const wanted = ((performance.now() - begin) / 1_000) * perSecond;
    while (calls.length < Math.min(wanted, perSecond * seconds)) {
      const start = performance.now();
      calls.push(work(calls.length).then(() => times.push(performance.now() - start)));
    }
    await setImmediate();
  }
  await Promise.all(calls);
  return times;
}

async function fill(store: RowStore): Promise<void> {
  for (let start = 0; start < rowCount; start += 500) {
    const marks = Array.from({ length: Math.min(500, rowCount - start) }, (_, index) =>
      mark(start + index, ((start + index) % 4) as Mark['priority']),
    );
    await store.mark(marks, 1_000 + start);
  }
  // Half of them come to an end, of every kind.
  const rows = await store.claim('us', rowCount / 2, 10_000_000, 10_100_000);
  const outcomes: Outcome[] = [
    { kind: 'synced', digest, bytes: 1_000 },
    { kind: 'failed', error: 'a blob is missing', nextAttempt: 99_000_000 },
    { kind: 'synced', digest, bytes: 1_000 },
    { kind: 'unsupported', error: 'schema 1' },
  ];
  await Promise.all(rows.map((row, index) => store.finish('us', row, outcomes[index % 4]!, 10_000_001)));
}

/** Marks pages of 500 one after the other, as a backfill does, until told to stop. */
async function backfill(store: RowStore, signal: AbortSignal): Promise<void> {
  for (let page = 0; !signal.aborted; page += 1) {
    const marks = Array.from({ length: 500 }, (_, index) => mark(1_000_000 + page * 500 + index, PRIORITY.backfill));
    await store.mark(marks, page);
  }
}

async function measureLoad(name: string, delay: number, isFilling = false): Promise<void> {
  const threads = watchedThreads(delay);
  const store = await createSqliteStore({ file: join(directory, `${name}.db`), log: silent }, threads.options);
  const loop = monitorEventLoopDelay({ resolution: 1 });
  const before = threads.commits;
  loop.enable();
  const stop = new AbortController();
  const filling = isFilling ? backfill(store, stop.signal) : undefined;
  const times = await atRate(2_000, 5, (call) => store.mark([mark(call)], call));
  loop.disable();
  stop.abort();
  await filling;
  const commits = threads.commits - before;
  console.log(`mark at 2,000 calls/s, ${name}: ${summary(times)}; ${times.length} calls in ${commits} commits`);
  console.log(`  event loop delay: p99 ${(loop.percentile(99) / 1e6).toFixed(1)} ms`);
  await store.close();
}

const store = await createSqliteStore({ file: join(directory, 'rows.db'), log: silent });
await rate('marks one by one', 3_000, async () => {
  for (let index = 0; index < 3_000; index += 1) await store.mark([mark(index)], 1);
});
await rate('marks in calls of one, 100 at once', 20_000, () =>
  Promise.all(
    Array.from({ length: 100 }, async (_, chain) => {
      for (let index = 0; index < 200; index += 1) await store.mark([mark(chain * 200 + index)], 1);
    }),
  ),
);
await rate(`${rowCount} rows: fill`, rowCount, () => fill(store));
// The first read starts the thread that reads.
await store.nextDue();
console.log(`counts: ${summary(await timed(100, () => store.counts(20_000_000)))}`);
console.log(`repositoryCounts: ${summary(await timed(100, () => store.repositoryCounts()))}`);
console.log(`summaries of 100: ${summary(await timed(100, () => store.repositorySummaries({ limit: 100 })))}`);
console.log(`summaries of 1,000: ${summary(await timed(20, () => store.repositorySummaries({ limit: 1_000 })))}`);
console.log(
  `summaries of 10 with failed rows: ${summary(
    await timed(50, () => store.repositorySummaries({ limit: 10, isFailed: true })),
  )}`,
);
console.log(`checksum: ${summary(await timed(100, () => store.checksum('group/project-0/image')))}`);
console.log(`claim of 4: ${summary(await timed(300, () => store.claim('us', 4, 20_000_000, 30_000_000)))}`);
console.log(`claim, nothing due: ${summary(await timed(300, () => store.claim('us', 4, 1, 2)))}`);
console.log(`nextDue: ${summary(await timed(300, () => store.nextDue()))}`);
console.log(`find: ${summary(await timed(300, (round) => store.find('group/project-7/image', `v1.${round}`)))}`);
console.log(`list of 50 failed: ${summary(await timed(100, () => store.list({ states: ['failed'], limit: 50 })))}`);
console.log(
  `list of 50 failed or pending of a repository: ${summary(
    await timed(100, () =>
      store.list({ states: ['failed', 'pending'], repository: 'group/project-7/image', limit: 50 }),
    ),
  )}`,
);
console.log(
  `list of 50 pending or failed: ${summary(await timed(100, () => store.list({ states: ['pending', 'failed'], limit: 50 })))}`,
);
console.log(`repositories: ${summary(await timed(20, () => store.repositories()))}`);
await rate('retry of synced rows', rowCount / 4, () => store.retry({ states: ['synced'] }, 30_000_000));
await rate('markAllUnknown', rowCount, () => store.markAllUnknown(40_000_000));
await store.close();
await measureLoad('commits as they are', 0);
await measureLoad('commits 20 ms slower', 20);
await measureLoad('during a backfill', 0, true);
await measureLoad('during a backfill, commits 20 ms slower', 20, true);
rmSync(directory, { recursive: true });
