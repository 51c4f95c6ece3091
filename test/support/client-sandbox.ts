// A view of the file system for clients that run as root: where they write although told other directories (`/run`,
// `/dev/shm`, `/var/lib/containers`) they find directories of their own. What they mount is gone with their processes.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createClientHome, type ClientHome } from './client-home.ts';
import { run, runOrThrow, tempDir, toolPath } from './tool.ts';

export interface Sandbox {
  /** Scratch directory: the sandbox's own places, and whatever else a client is to keep. */
  readonly dir: string;
  /** The command, with its arguments, that runs a tool inside; the process stays one and the same. */
  command(tool: string, ...args: readonly string[]): [command: string, args: string[]];
  remove(): Promise<void>;
}

const enter = [
  'set -e',
  'mkdir -p /var/lib/containers',
  'mount --bind "$0/run" /run',
  'mount --bind "$0/shm" /dev/shm',
  'mount --bind "$0/lib" /var/lib/containers',
  'exec "$@"',
].join('; ');

/** Makes one. Throws an Error where this process may not mount: engines do, and so does the sandbox. */
export async function createSandbox(): Promise<Sandbox> {
  const { code, stderr } = await run('unshare', ['--mount', 'true']);
  if (code !== 0) throw new Error(`container clients need root and the right to mount: ${stderr.trim()}`);
  const { path: dir, remove } = await tempDir();
  await Promise.all(['run', 'shm', 'lib'].map((place) => mkdir(join(dir, place))));
  return {
    dir,
    command: (tool, ...args) => {
      const inside = ['sh', '-c', enter, dir, toolPath(tool), ...args];
      return ['unshare', ['--mount', '--propagation', 'private', ...inside]];
    },
    remove,
  };
}

/** A client's home whose tools run in a sandbox. */
export async function createSandboxedHome(): Promise<ClientHome> {
  const sandbox = await createSandbox();
  const home = await createClientHome();
  const { env } = home;
  return {
    ...home,
    run: (tool, ...args) => run(...sandbox.command(tool, ...args), { env }),
    runOrThrow: (tool, ...args) => runOrThrow(...sandbox.command(tool, ...args), { env }),
    async remove() {
      await Promise.all([home.remove(), sandbox.remove()]);
    },
  };
}
