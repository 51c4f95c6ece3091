// Builds the program as one executable with Node inside, for the machine that builds it (a single executable application of Node):
// it starts quicker than the bundle, since the program is compiled already and Node is started once, with the heap's flags. Run by
// `npm run release`.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { AT_START, LATER } from '../bin/heap.cjs';

const root = resolve(import.meta.dirname, '..');
const node = join(root, 'node_modules/.bin/node');

/** Builds it of the program's text (CommonJS) into a file. */
export function buildExecutable(program, file) {
  const folder = mkdtempSync(join(tmpdir(), 'geo-executable-'));
  try {
    // Compiled under other flags, the code would be refused at the start.
    const flags = [...AT_START, ...LATER];
    writeFileSync(join(folder, 'program.cjs'), program);
    const config = {
      main: join(folder, 'program.cjs'),
      output: file,
      disableExperimentalSEAWarning: true,
      useCodeCache: true,
      execArgv: flags,
      execArgvExtension: 'env',
    };
    writeFileSync(join(folder, 'sea.json'), JSON.stringify(config));
    execFileSync(node, [...flags, '--build-sea', join(folder, 'sea.json')], { stdio: ['ignore', 'ignore', 'inherit'] });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
