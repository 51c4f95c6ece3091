import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, expect, test } from 'vitest';
import { NewerDatabase, StoreUnavailable, type RowStore } from '../../../src/replication/rows.ts';
import { createSqliteStore } from '../../../src/replication/store/sqlite.ts';
import { storeContract } from './contract.ts';
import { repository, rowOf, wish } from './given.ts';
import { silent } from './silent.ts';
import { openSqlite, temporaryFile } from './sqlite-files.ts';

// Threads take their time to start: one store serves all tests of the contract, emptied before each.
let shared: RowStore | undefined;
const directory = mkdtempSync(join(tmpdir(), 'geo-rows-'));

async function closeShared(): Promise<void> {
  const closing = shared?.close();
  shared = undefined;
  await closing;
}

afterAll(async () => {
  await closeShared();
  rmSync(directory, { recursive: true });
});

storeContract(async () => {
  const file = join(directory, 'rows.db');
  shared ??= await createSqliteStore({ file, log: silent });
  const database = new DatabaseSync(file);
  const tables = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    .all();
  for (const { name } of tables) database.exec(`DELETE FROM ${String(name)}`);
  database.close();
  return { ...shared, close: closeShared };
});

test('what was kept is there the next time', async () => {
  const file = temporaryFile();
  const before = await createSqliteStore({ file, log: silent });
  await before.mark([wish('v1')], 100);
  await before.close();
  expect(await rowOf(await openSqlite(file), 'v1')).toMatchObject({ generation: 1, markedAt: 100 });
});

test('the database is for this user alone, and so is its folder', async () => {
  const file = join(dirname(temporaryFile()), 'a', 'b', 'rows.db');
  const store = await openSqlite(file);
  await store.mark([wish('v1')], 100);
  const modes = ['', '-wal', '-shm'].map((suffix) => statSync(file + suffix).mode & 0o777);
  expect(modes).toEqual([0o600, 0o600, 0o600]);
  expect(statSync(dirname(file)).mode & 0o777).toBe(0o700);
  expect(statSync(dirname(dirname(file))).mode & 0o777).toBe(0o700);
});

test('a closed database is one file', async () => {
  const file = temporaryFile();
  const store = await createSqliteStore({ file, log: silent });
  await store.mark([wish('v1')], 100);
  await store.repositories();
  await store.close();
  expect(statSync(`${file}-wal`, { throwIfNoEntry: false })).toBeUndefined();
});

test('a newer program’s database is refused in one line, and left as it is', async () => {
  const file = temporaryFile();
  const database = new DatabaseSync(file);
  database.exec('PRAGMA user_version = 12');
  database.close();
  const before = readFileSync(file);
  const error = await openSqlite(file).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(NewerDatabase);
  expect((error as Error).message.replace(/knows \d+/, 'knows 3')).toBe(
    `${file} has version 12, this program knows 3 at most: run the newer program again, or set GEO_DATA_DIR to another directory`,
  );
  expect(readFileSync(file)).toEqual(before);
});

test('what is no database is refused by name', async () => {
  const file = temporaryFile();
  writeFileSync(file, 'no database at all');
  const error = await openSqlite(file).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(StoreUnavailable);
  expect((error as Error).message).toBe(`${file} cannot be opened: file is not a database`);
});

test('a path that cannot be a file is refused by name', async () => {
  const file = temporaryFile();
  mkdirSync(file);
  const error = await openSqlite(file).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(StoreUnavailable);
  expect((error as Error).message).toContain(`${file} cannot be opened: EISDIR`);
});

test('a call that fails by its own fault fails alone', async () => {
  const store = await openSqlite(temporaryFile());
  const wrong = store.mark([wish('half'), wish('wrong', { priority: 7 as 0 })], 100);
  const calls = [store.mark([wish('v1')], 100), wrong, store.mark([wish('v2')], 100)];
  const [first, second, third] = await Promise.allSettled(calls);
  expect([first?.status, second?.status, third?.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  await expect(wrong).rejects.not.toBeInstanceOf(StoreUnavailable);
  expect((await store.list({})).map((row) => row.reference)).toEqual(['v1', 'v2']);
});

test('what is no JSON is no fact', async () => {
  const store = await openSqlite(temporaryFile());
  await expect(store.setFact('name', 1n)).rejects.toThrow(TypeError);
  await store.setFact('name', undefined);
  expect(await store.getFact('name')).toBeNull();
  expect(await store.find(repository, 'v1')).toBeUndefined();
});
