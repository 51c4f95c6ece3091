// containerd with state, socket and mounts of its own, and `ctr` pointed at it.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSandbox } from './client-sandbox.ts';
import { startProcess, waitUntilReady } from './process.ts';
import { run, runOrThrow, toolPath, type RunResult } from './tool.ts';

export interface Containerd {
  /** Runs `ctr` against this containerd to its end, whatever its exit code. */
  ctr(...args: string[]): Promise<RunResult>;
  /** The same; gives what it printed, or an Error when it fails. */
  ctrOrThrow(...args: string[]): Promise<string>;
  /** Stops it and removes what it kept. */
  close(): Promise<void>;
}

/** Starts `containerd` and waits until it answers. It ends with the test's process at the latest. */
export async function startContainerd(): Promise<Containerd> {
  const sandbox = await createSandbox();
  const { dir } = sandbox;
  const address = join(dir, 'containerd.sock');
  const config = join(dir, 'config.toml');
  await writeFile(config, `version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n`);
  const places = ['--root', join(dir, 'root'), '--state', join(dir, 'state'), '--address', address];
  const server = startProcess(...sandbox.command('containerd', '--config', config, ...places));
  const withAddress = (args: readonly string[]): string[] => ['--address', address, ...args];
  const ctr: Containerd['ctr'] = (...args) => run(toolPath('ctr'), withAddress(args));
  const close = async (): Promise<void> => {
    await server.stop();
    await sandbox.remove();
  };
  try {
    await waitUntilReady(server, async () => (await ctr('version')).code === 0, 'containerd');
  } catch (error) {
    await close();
    throw error;
  }
  return { ctr, ctrOrThrow: (...args) => runOrThrow(toolPath('ctr'), withAddress(args)), close };
}
