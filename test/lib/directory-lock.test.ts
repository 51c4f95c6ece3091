// A directory is one process's.
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { lockDirectory } from '../../src/lib/directory-lock.ts';
import { startProcess, type ServerProcess } from '../support/process.ts';
import { tempDir, waitFor } from '../support/tool.ts';

const module = new URL('../../src/lib/directory-lock.ts', import.meta.url).href;

/** Another process that takes a directory, and says whether it could; `sealed` in a network namespace of its own. */
async function other(directory: string, { sealed = false } = {}): Promise<ServerProcess & { readonly has: boolean }> {
  const program = `
    const lock = await (await import('${module}')).lockDirectory('${directory}');
    console.log(lock ? 'held' : 'refused');
    setInterval(() => {}, 1000);`;
  const node = [process.execPath, '--input-type=module', '--eval', program] as const;
  const process_ = sealed ? startProcess('unshare', ['--net', ...node]) : startProcess(node[0], node.slice(1));
  onTestFinished(() => process_.stop('SIGKILL').then(() => undefined));
  await waitFor(() => /held|refused/.test(process_.log()), { what: 'the other process' });
  return { ...process_, has: process_.log().includes('held') };
}

async function empty(directory: string): Promise<void> {
  for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true });
}

test('a directory that is held is refused, and free once it is let go', async () => {
  await using dir = await tempDir();
  const lock = await lockDirectory(`${dir.path}/data`);
  expect(await lockDirectory(`${dir.path}/data`)).toBeUndefined();
  expect(await lock!.look()).toBeUndefined();
  lock!.release();
  const again = await lockDirectory(`${dir.path}/data`);
  expect(again).toBeDefined();
  again!.release();
});

test('one that another process holds is refused until that has ended, however', async () => {
  await using dir = await tempDir();
  const before = await other(dir.path);
  expect(before.has).toBe(true);
  expect(await lockDirectory(dir.path)).toBeUndefined();
  await before.stop('SIGKILL');
  const lock = await lockDirectory(dir.path);
  expect(lock).toBeDefined();
  lock!.release();
});

test('one that is emptied stays held, and its holder is told', async () => {
  await using dir = await tempDir();
  const lock = (await lockDirectory(dir.path))!;
  await empty(dir.path);
  expect((await other(dir.path)).has).toBe(false);
  expect(await lock.look()).toBe(
    `the content of ${dir.path} was removed or replaced while it was in use: restart the proxy`,
  );
  // From now on for those, too, who share the directory and nothing else.
  expect((await other(dir.path, { sealed: true })).has).toBe(false);
  lock.release();
  expect((await other(dir.path)).has).toBe(true);
});

test('one that is removed and made anew stays held', async () => {
  await using dir = await tempDir();
  const data = join(dir.path, 'data');
  const lock = (await lockDirectory(data))!;
  await rm(data, { recursive: true });
  expect(await lock.look()).toContain('restart the proxy');
  await mkdir(data);
  expect((await other(data)).has).toBe(false);
  lock.release();
});

test('one that is moved away and back is what it was', async () => {
  await using dir = await tempDir();
  const data = join(dir.path, 'data');
  const lock = (await lockDirectory(data))!;
  await rename(data, `${data}.away`);
  expect(await lock.look()).toContain('restart the proxy');
  await rename(`${data}.away`, data);
  expect(await lock.look()).toBeUndefined();
  lock.release();
});

test('where another process came first into an emptied directory both are known', async () => {
  await using dir = await tempDir();
  const lock = (await lockDirectory(dir.path))!;
  await empty(dir.path);
  // In a container of its own, before the first has looked.
  expect((await other(dir.path, { sealed: true })).has).toBe(true);
  expect(await lock.look()).toContain('and another process uses it now');
  lock.release();
});
