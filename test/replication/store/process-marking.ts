// Marks rows of the database of its first argument until it is killed; writes each reference out once it is
// acknowledged. The second argument begins the references.
import { writeSync } from 'node:fs';
import { createSqliteStore } from '../../../src/replication/store/sqlite.ts';
import { wish } from './given-marks.ts';
import { silent } from './silent.ts';

const [file = '', prefix = ''] = process.argv.slice(2);
const store = await createSqliteStore({ file, log: silent });

async function markForEver(chain: number): Promise<void> {
  for (let number = 0; ; number += 1) {
    const reference = `${prefix}-${chain}-${number}`;
    await store.mark([wish(reference)], 100);
    writeSync(1, `${reference}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, (_, chain) => markForEver(chain)));
