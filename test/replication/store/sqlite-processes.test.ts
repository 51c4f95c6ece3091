import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { DatabaseSync } from 'node:sqlite';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { createSqliteStore } from '../../../src/replication/store/sqlite.ts';
import { wish } from './given.ts';
import { silent } from './silent.ts';
import { openSqlite, temporaryFile } from './sqlite-files.ts';
import { slowCommits } from './watched-threads.ts';

/** Runs a script beside this file until it ends, or has written `enough` lines and is killed; all its lines. */
async function linesOf(script: string, args: readonly string[], enough = Infinity): Promise<string[]> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const env = { PATH: process.env['PATH'], COMMIT_DELAY: '3' };
  const child = spawn(process.execPath, ['--import', slowCommits, path, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const closed = once(child, 'close');
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    if (lines.length === enough) child.kill('SIGKILL');
  }
  await closed;
  return lines;
}

function integrityOf(file: string): unknown {
  const database = new DatabaseSync(file);
  try {
    return database.prepare('PRAGMA integrity_check').get()?.['integrity_check'];
  } finally {
    database.close();
  }
}

test('what was acknowledged survives kill -9 at any moment', async () => {
  const file = temporaryFile();
  const acknowledged: string[] = [];
  for (let round = 0; round < 8; round += 1) {
    acknowledged.push(...(await linesOf('./process-marking.ts', [file, `r${round}`], randomInt(1, 200))));
  }
  const store = await createSqliteStore({ file, log: silent });
  const kept = new Set((await store.list({})).map((row) => row.reference));
  await store.close();
  expect(acknowledged.length).toBeGreaterThanOrEqual(8);
  expect(acknowledged.filter((reference) => !kept.has(reference))).toEqual([]);
  expect(integrityOf(file)).toBe('ok');
});

test('several processes share a database, and no row is given out twice', async () => {
  const file = temporaryFile();
  const store = await createSqliteStore({ file, log: silent });
  const references = Array.from({ length: 200 }, (_, index) => `v${index}`);
  await store.mark(
    references.map((reference) => wish(reference)),
    100,
  );
  const claimed = await Promise.all([1, 2, 3].map(() => linesOf('./process-claiming.ts', [file])));
  expect(claimed.flat().sort()).toEqual(references.sort());
  expect((await store.counts(1_000)).states.synced).toBe(200);
  await store.close();
  expect(integrityOf(file)).toBe('ok');
});

test('several at once make one new database', async () => {
  const file = temporaryFile();
  const stores = await Promise.all([1, 2, 3, 4].map(() => openSqlite(file)));
  await Promise.all(stores.map((store, index) => store.mark([wish(`v${index}`)], 100)));
  expect(await stores[0]!.list({})).toHaveLength(4);
});
