import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run, tempDir, toolPath, type RunResult } from '../support/tool.ts';

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

  it('fetches anew where a package lies there that the lock file does not have', async () => {
    await using copy = await tempDir();
    const [root, bare] = [join(copy.path, 'clone'), join(copy.path, 'bare')];
    const modules = join(root, 'node_modules');
    for (const folder of [join(modules, '.bin'), bare]) await mkdir(folder, { recursive: true });
    for (const name of ['scripts', 'package.json', 'package-lock.json']) {
      await cp(join(clone, name), join(root, name), { recursive: true });
    }
    await symlink(process.execPath, join(modules, '.bin/node'));
    // In the place of npm: what it is called with ends the set-up.
    await writeFile(join(bare, 'npm'), '#!/bin/sh\necho "npm $1"\nexit 1\n', { mode: 0o755 });
    await symlink(toolPath('sh'), join(bare, 'sh'));
    const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as { packages: object };
    const asked = async (packages: object): Promise<string> => {
      await writeFile(join(modules, '.package-lock.json'), JSON.stringify({ packages }));
      const env = { PATH: bare };
      return (await run(process.execPath, [join(root, 'scripts/setup.mjs'), '--', 'true'], { env })).stdout;
    };
    expect(await asked({ ...lock.packages, 'node_modules/left-over': {} })).toContain('npm ci');
    expect(await asked(lock.packages)).not.toContain('npm ci');
  });
});
