// The image that stands in for `node:26-bookworm-slim`, which a machine without a network cannot have: busybox, this
// very Node with its libraries, and npm.
import { existsSync } from 'node:fs';
import { chmod, copyFile, cp, mkdir, realpath, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { DockerEngine } from '../support/dockerd.ts';
import { runOrThrow, tempDir, toolPath } from '../support/tool.ts';

const clone = resolve(import.meta.dirname, '../..');
// What is Node's, which the image has, and what tools have left there.
const notFetched = /\/node_modules\/(?:node|node-(?:bin-setup|linux-\w+)|\.bin\/node|\.vite[\w-]*)$/;
const applets = ['sh', 'mkdir', 'chown', 'env', 'ls', 'stat', 'id', 'cp'];

/** Copies Node and the libraries that it is linked with to the paths where it looks for them. */
async function addNode(root: string): Promise<void> {
  const libraries = (await runOrThrow('ldd', [process.execPath])).match(/\/\S+/g) ?? [];
  await mkdir(join(root, 'usr/local/bin'), { recursive: true });
  await copyFile(process.execPath, join(root, 'usr/local/bin/node'));
  for (const library of libraries) {
    // The loader has a path of its own; the others are found by name, wherever this machine has them.
    const target = join(root, /\/ld-[^/]*$/.test(library) ? library : join('usr/lib', basename(library)));
    await mkdir(dirname(target), { recursive: true });
    await copyFile(await realpath(library), target);
  }
}

async function addBusybox(root: string): Promise<void> {
  const unpacked = join(clone, '.tools/root');
  const busybox = ['usr/bin/busybox', 'bin/busybox']
    .map((path) => join(unpacked, path))
    .find((path) => existsSync(path));
  if (busybox === undefined) throw new Error('busybox is not in .tools: npm run setup fetches it');
  await Promise.all(['bin', 'usr/bin'].map((path) => mkdir(join(root, path), { recursive: true })));
  await copyFile(busybox, join(root, 'bin/busybox'));
  await Promise.all(applets.map((name) => symlink('busybox', join(root, 'bin', name))));
  // Scripts of npm packages begin with it.
  await symlink('/bin/env', join(root, 'usr/bin/env'));
}

/** npm as it is on this machine, but `npm ci` takes what the set-up has fetched by the same lock file. */
async function addNpm(root: string): Promise<void> {
  const npm = dirname(dirname(await realpath(process.env['npm_execpath'] ?? toolPath('npm'))));
  await cp(npm, join(root, 'usr/local/lib/npm'), { recursive: true });
  const modules = await realpath(join(clone, 'node_modules'));
  await cp(modules, join(root, 'fetched/node_modules'), {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !notFetched.test(path),
  });
  const script = [
    '#!/bin/sh',
    '[ "$1" = ci ] && exec cp -r /fetched/node_modules .',
    'exec node /usr/local/lib/npm/bin/npm-cli.js --offline "$@"',
  ];
  await writeFile(join(root, 'usr/local/bin/npm'), `${script.join('\n')}\n`);
  await chmod(join(root, 'usr/local/bin/npm'), 0o755);
}

/** Makes the image under this name. */
export async function importBaseImage(engine: DockerEngine, name: string): Promise<void> {
  const scratch = await tempDir();
  const root = join(scratch.path, 'root');
  await Promise.all([addNode(root), addBusybox(root), addNpm(root)]);
  const archive = join(scratch.path, 'root.tar');
  await runOrThrow('tar', ['-C', root, '-cf', archive, '.']);
  await engine.dockerOrThrow(
    'import',
    '--change',
    'ENV PATH=/usr/local/bin:/usr/bin:/bin LD_LIBRARY_PATH=/usr/lib',
    archive,
    name,
  );
  await scratch.remove();
}
