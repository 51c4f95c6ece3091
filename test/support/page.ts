// Before any test: the status page is built where it is older than its sources (also for one test file run by itself).
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';

export function setup(): void {
  const program = resolve(import.meta.dirname, '../../scripts/build-web.mjs');
  execFileSync(process.execPath, [program, '--if-stale'], { stdio: 'inherit' });
}
