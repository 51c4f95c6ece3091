// A disk of its own for what a test fills.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/**
 * The directory of a file system of 2 MiB, which goes with the test. @throws where this user may not mount one: tests run
 * as root.
 */
export function smallDisk(): string {
  const directory = mkdtempSync(join(tmpdir(), 'geo-small-'));
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', directory]);
  onTestFinished(() => {
    if (status === 0) spawnSync('umount', ['--lazy', directory]);
    rmdirSync(directory);
  });
  if (status !== 0) throw new Error(`no file system could be mounted: ${String(stderr)}`);
  return directory;
}
