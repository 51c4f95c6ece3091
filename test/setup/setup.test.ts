import { cp, mkdir, readdir, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startProcess } from '../support/process.ts';
import { run, tempDir, toolPath, waitFor, type RunResult } from '../support/tool.ts';

const clone = resolve(import.meta.dirname, '../..');
const setup = (...args: string[]): Promise<RunResult> =>
  run(process.execPath, [join(clone, 'scripts/setup.mjs'), ...args]);

describe('the set-up', () => {
  it('says nothing and fetches nothing when all is in place', async () => {
    expect(await setup('--tools=test')).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('runs a command on the Node of node_modules, and ends as it ends', async () => {
    const env = { PATH: '/usr/bin:/bin' };
    const program = 'console.log(process.versions.node); process.exit(7)';
    const args = [join(clone, 'scripts/setup.mjs'), '--', 'node', '--eval', program];
    expect(await run(process.execPath, args, { env })).toMatchObject({ code: 7, stdout: `${process.versions.node}\n` });
  });

  it('refuses a set of tools that there is not', async () => {
    const { code, stderr } = await setup('--tools=all');
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'set-up: --tools=all is none of none, demo, test\n' });
  });

  it('says in one line what could not be had, and what to do', async () => {
    const copy = await tempDir();
    const bare = join(copy.path, 'bare');
    await mkdir(bare);
    // A machine without apt: only a shell is in its PATH.
    await symlink(toolPath('sh'), join(bare, 'sh'));
    for (const name of ['scripts', 'package.json', 'package-lock.json']) {
      await cp(join(clone, name), join(copy.path, 'clone', name), { recursive: true });
    }
    await symlink(join(clone, 'node_modules'), join(copy.path, 'clone/node_modules'));
    const program = [join(copy.path, 'clone/scripts/setup.mjs'), '--tools=demo'];
    const { code, stderr } = await run(process.execPath, program, { env: { PATH: bare } });
    await copy.remove();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^set-up: docker-registry busybox-static .*could not be had \(apt-get is not there.*\n$/);
    expect(stderr).toContain('apt-get install docker-registry busybox-static');
  });
});

describe('the demo', () => {
  const demo = join(clone, 'scripts/demo.ts');

  it('shows what it should, and leaves nothing behind', async () => {
    const scratch = await tempDir();
    const { code, stdout } = await run(process.execPath, [demo, '--once'], { env: { TMPDIR: scratch.path } });
    expect(stdout).toContain('All steps showed what they should.');
    expect(code).toBe(0);
    expect(await readdir(scratch.path)).toEqual([]);
    await scratch.remove();
  });

  it('stops in order and leaves nothing behind when it is interrupted, more than once for one Ctrl-C', async () => {
    const scratch = await tempDir();
    const server = startProcess(process.execPath, [demo], { env: { ...process.env, TMPDIR: scratch.path } });
    await waitFor(() => server.log().includes('Cold pull'), { what: 'the demo to be in the middle', timeout: 30_000 });
    process.kill(server.pid, 'SIGINT');
    expect(await server.stop('SIGINT')).toBe(0);
    expect(await readdir(scratch.path)).toEqual([]);
    await scratch.remove();
  });

  it('fails with one clear line', async () => {
    const { code, stderr } = await run(process.execPath, [demo, '--once'], { env: { TMPDIR: '/no/such/directory' } });
    expect(stderr).toMatch(/^\nThe demo failed: ENOENT.*\n$/);
    expect(code).toBe(1);
  });
});
