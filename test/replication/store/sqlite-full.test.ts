import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { StoreUnavailable } from '../../../src/replication/rows.ts';
import { createSqliteStore } from '../../../src/replication/store/sqlite.ts';
import { smallDisk } from '../../support/small-disk.ts';
import { wish } from './given.ts';
import { silent } from './silent.ts';

test('a full disk refuses what it cannot keep, loses nothing, and works again with space', async () => {
  const directory = smallDisk();
  const [file, ballast] = [join(directory, 'rows.db'), join(directory, 'ballast')];
  writeFileSync(ballast, Buffer.alloc(1_000_000));
  const store = await createSqliteStore({ file, log: silent });
  const acknowledged: string[] = [];
  const markUntilFull = async (): Promise<never> => {
    for (;;) {
      const references = Array.from({ length: 50 }, (_, index) => `v${acknowledged.length + index}`);
      const marks = references.map((reference) => wish(reference));
      await store.mark(marks, 100);
      acknowledged.push(...references);
    }
  };
  const failure = await markUntilFull().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(StoreUnavailable);
  expect((failure as Error).message).toBe('the database cannot be used: database or disk is full');
  expect((await store.list({})).map((row) => row.reference)).toEqual(acknowledged);

  rmSync(ballast);
  await store.mark([wish('after')], 100);
  expect((await store.list({})).map((row) => row.reference)).toEqual([...acknowledged, 'after']);
  await store.close();
  const database = new DatabaseSync(file);
  expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  database.close();
});
