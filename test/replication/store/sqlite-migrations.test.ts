import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { NewerDatabase } from '../../../src/replication/rows.ts';
import { migrate } from '../../../src/replication/store/sqlite/migrations.ts';

const first = 'CREATE TABLE a (x)';
const second = 'CREATE TABLE b (x); INSERT INTO b VALUES (1)';

function memory(): DatabaseSync {
  const database = new DatabaseSync(':memory:');
  onTestFinished(() => database.close());
  return database;
}

function stateOf(database: DatabaseSync): unknown[] {
  const tables = database.prepare('SELECT name FROM sqlite_schema ORDER BY name').all();
  return [database.prepare('PRAGMA user_version').get()?.['user_version'], ...tables.map(({ name }) => name)];
}

test('the steps that are missing are taken, once', () => {
  const database = memory();
  migrate(database, 'rows.db', [first]);
  expect(stateOf(database)).toEqual([1, 'a']);
  migrate(database, 'rows.db', [first, second]);
  migrate(database, 'rows.db', [first, second]);
  expect(stateOf(database)).toEqual([2, 'a', 'b']);
  expect(database.prepare('SELECT * FROM b').all()).toHaveLength(1);
});

test('a step that fails leaves all as it was', () => {
  const database = memory();
  migrate(database, 'rows.db', [first]);
  expect(() => migrate(database, 'rows.db', [first, second, first])).toThrow('already exists');
  expect(stateOf(database)).toEqual([1, 'a']);
});

test('a newer database is refused', () => {
  const database = memory();
  migrate(database, 'rows.db', [first, second]);
  expect(() => migrate(database, 'rows.db', [first])).toThrow(NewerDatabase);
  expect(stateOf(database)).toEqual([2, 'a', 'b']);
});
