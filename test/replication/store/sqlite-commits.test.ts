import { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { StoreUnavailable } from '../../../src/replication/rows.ts';
import { writeTogether, type Result, type Run } from '../../../src/replication/store/sqlite/batch.ts';
import { repository, wish } from './given.ts';
import { openSqlite, temporaryFile } from './sqlite-files.ts';
import { watchedThreads } from './watched-threads.ts';

test('calls that come together are committed together', async () => {
  const threads = watchedThreads();
  const store = await openSqlite(temporaryFile(), threads.options);
  const before = threads.commits;
  await Promise.all(Array.from({ length: 3_000 }, (_, index) => store.mark([wish(`v${index}`)], 100)));
  expect(threads.commits - before).toBeLessThan(10);
  expect((await store.counts(100)).states.pending).toBe(3_000);
});

test('calls that wait for a commit share the next', async () => {
  const threads = watchedThreads(2);
  const store = await openSqlite(temporaryFile(), threads.options);
  const before = threads.commits;
  const chains = Array.from({ length: 50 }, async (_, chain) => {
    for (let number = 0; number < 20; number += 1) await store.mark([wish(`v${chain}-${number}`)], 100);
  });
  await Promise.all(chains);
  expect(threads.commits - before).toBeLessThan(100);
  expect((await store.counts(100)).states.pending).toBe(1_000);
});

test('what comes during a commit is committed next, however long the main thread is busy', async () => {
  const threads = watchedThreads(100);
  const store = await openSqlite(temporaryFile(), threads.options);
  const before = threads.commits;
  const marked = [store.mark([wish('v1')], 100)];
  while (threads.commits === before) await setImmediate();
  marked.push(store.mark([wish('v2')], 100), store.mark([wish('v3')], 100));
  await setImmediate();
  const until = performance.now() + 5_000;
  while (threads.commits - before < 2 && performance.now() < until);
  expect(threads.commits - before).toBe(2);
  await Promise.all(marked);
  expect(threads.commits - before).toBe(2);
});

test('the event loop goes round while a commit takes its time', async () => {
  const store = await openSqlite(temporaryFile(), watchedThreads(500).options);
  const marking = new AbortController();
  const marked = store.mark([wish('v1')], 100).finally(() => marking.abort());
  let rounds = 0;
  for (; !marking.signal.aborted; rounds += 1) await setImmediate();
  await marked;
  expect(rounds).toBeGreaterThan(100);
});

test('a read does not wait for a commit', async () => {
  const store = await openSqlite(temporaryFile(), watchedThreads(1_000).options);
  await store.nextDue();
  const ended: string[] = [];
  const marked = store.mark([wish('v1')], 100).then(() => ended.push('mark'));
  const found = store.find(repository, 'v1').then(() => ended.push('find'));
  await Promise.all([marked, found]);
  expect(ended).toEqual(['find', 'mark']);
});

test('calls beyond what may wait are refused, the others are carried out', async () => {
  const store = await openSqlite(temporaryFile());
  const calls = Array.from({ length: 50_000 }, () => store.renew('us', [1], 100));
  await expect(store.mark([wish('v1')], 100)).rejects.toThrow(StoreUnavailable);
  expect(await Promise.all(calls)).toHaveLength(50_000);
  await store.mark([wish('v1')], 100);
});

function failures(results: readonly Result[]): unknown[] {
  return results.map((result) => ('failure' in result ? result.failure.kind : undefined));
}

test('when a commit fails no call is said to be done, and the next batch starts afresh', () => {
  const database = new DatabaseSync(temporaryFile());
  database.exec('CREATE TABLE p (id INTEGER PRIMARY KEY)');
  database.exec('CREATE TABLE c (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)');
  const insert: Run = ({ args }) => database.prepare(`INSERT INTO ${String(args[0])} VALUES (1)`).run().changes;
  const [orphan, parent] = ['c', 'p'].map((table) => ({ name: 'insert', args: [table] }));
  expect(failures(writeTogether(database, insert, [orphan!, orphan!]))).toEqual(['refused', 'refused']);
  expect(writeTogether(database, insert, [orphan!, parent!])).toEqual([{ value: 1 }, { value: 1 }]);
  expect(database.prepare('SELECT * FROM c').all()).toHaveLength(1);
  database.close();
});

test('when the database fails no call of its batch is said to be done', () => {
  const database = new DatabaseSync(temporaryFile());
  database.exec('PRAGMA max_page_count = 10; CREATE TABLE t (a)');
  const insert: Run = ({ args }) => database.prepare('INSERT INTO t VALUES (zeroblob(?))').run(Number(args[0])).changes;
  const calls = [1, 1_000_000, 1].map((size) => ({ name: 'insert', args: [size] }));
  expect(failures(writeTogether(database, insert, calls))).toEqual(['unavailable', 'unavailable', 'unavailable']);
  expect(database.prepare('SELECT * FROM t').all()).toEqual([]);
  database.close();
});

test('another process that holds the database for long makes it unavailable, not wrong', () => {
  const file = temporaryFile();
  const [ours, theirs] = [new DatabaseSync(file, { timeout: 0 }), new DatabaseSync(file)];
  ours.exec('CREATE TABLE t (a)');
  theirs.exec('BEGIN IMMEDIATE');
  const write: Run = () => ours.prepare('INSERT INTO t VALUES (1)').run().changes;
  const calls = [{ name: 'write', args: [] }];
  expect(writeTogether(ours, write, calls)).toMatchObject([{ failure: { kind: 'unavailable' } }]);
  theirs.exec('COMMIT');
  expect(writeTogether(ours, write, calls)).toEqual([{ value: 1 }]);
});
