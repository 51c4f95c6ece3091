// Claims rows of the database of its first argument until there are none; writes each reference out.
import { writeSync } from 'node:fs';
import { digestOf } from '../../../src/oci/digest.ts';
import { createSqliteStore } from '../../../src/replication/store/sqlite.ts';
import { silent } from './silent.ts';

const owner = `process-${process.pid}`;
const outcome = { kind: 'synced', digest: digestOf(Buffer.from('one')), bytes: 1 } as const;
const store = await createSqliteStore({ file: process.argv[2]!, log: silent });
for (;;) {
  const rows = await store.claim(owner, 3, 1_000, 2_000);
  if (rows.length === 0) break;
  for (const row of rows) writeSync(1, `${row.reference}\n`);
  await Promise.all(rows.map((row) => store.finish(owner, row, outcome, 1_010)));
}
await store.close();
