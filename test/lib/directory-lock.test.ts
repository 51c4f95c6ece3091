// A directory is one process's.
import { expect, test } from 'vitest';
import { lockDirectory } from '../../src/lib/directory-lock.ts';
import { startProcess } from '../support/process.ts';
import { tempDir, waitFor } from '../support/tool.ts';

const module = new URL('../../src/lib/directory-lock.ts', import.meta.url).href;

test('a directory that is held is refused, and free once it is let go', async () => {
  await using dir = await tempDir();
  const letGo = lockDirectory(`${dir.path}/data`);
  expect(lockDirectory(`${dir.path}/data`)).toBeUndefined();
  letGo!();
  const again = lockDirectory(`${dir.path}/data`);
  expect(again).toBeDefined();
  again!();
});

test('one that another process holds is refused until that has ended, however', async () => {
  await using dir = await tempDir();
  const program = `(await import('${module}')).lockDirectory('${dir.path}'); console.log('held'); setInterval(() => {}, 1000);`;
  const other = startProcess(process.execPath, ['--input-type=module', '--eval', program]);
  await waitFor(() => other.log().includes('held'), { what: 'the other process to hold it' });
  expect(lockDirectory(dir.path)).toBeUndefined();
  await other.stop('SIGKILL');
  const letGo = lockDirectory(dir.path);
  expect(letGo).toBeDefined();
  letGo!();
});
