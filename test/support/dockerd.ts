// Docker Engine with state, socket and mounts of its own, and the `docker` command pointed at it.
import { existsSync } from 'node:fs';
import { readdir, rmdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createClientHome, type ClientHome } from './client-home.ts';
import { createSandbox } from './client-sandbox.ts';
import { startProcess, waitUntilReady } from './process.ts';
import type { RunResult } from './tool.ts';

export interface DockerEngine {
  /** What `docker` keeps its logins in. */
  readonly home: ClientHome;
  /** Runs `docker` against this engine to its end, whatever its exit code. */
  docker(...args: string[]): Promise<RunResult>;
  /** The same; gives what it printed, or an Error when it fails. */
  dockerOrThrow(...args: string[]): Promise<string>;
  /** All that the engine printed. */
  log(): string;
  /** Stops the engine with all its containers, and removes what it kept. */
  close(): Promise<void>;
}

const controlGroups = '/sys/fs/cgroup';

/** The engine leaves the empty control groups behind that it ran containers under. */
async function removeControlGroups(name: string): Promise<void> {
  const entries = await readdir(controlGroups, { withFileTypes: true });
  const hierarchies = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const groups = ['.', ...hierarchies].map((hierarchy) => join(controlGroups, hierarchy, name));
  await Promise.all(groups.filter((group) => existsSync(group)).map((group) => rmdir(group)));
}

function engineArguments(dir: string, host: string): string[] {
  return [
    `--host=${host}`,
    `--data-root=${join(dir, 'data')}`,
    `--exec-root=${join(dir, 'exec')}`,
    `--pidfile=${join(dir, 'dockerd.pid')}`,
    `--config-file=${join(dir, 'daemon.json')}`,
    `--cgroup-parent=/${basename(dir)}`,
    '--storage-driver=vfs',
    // Neither interfaces nor packet filters of this machine are touched.
    '--bridge=none',
    '--iptables=false',
    '--ip6tables=false',
    '--ip-forward=false',
  ];
}

/** Starts `dockerd` and waits until it answers. It ends with the test's process at the latest. */
export async function startDockerEngine(): Promise<DockerEngine> {
  const sandbox = await createSandbox();
  const home = await createClientHome();
  const host = `unix://${join(sandbox.dir, 'docker.sock')}`;
  // The one setting without an option: its default is in /etc.
  const settings = { 'deprecated-key-path': join(sandbox.dir, 'key.json') };
  await writeFile(join(sandbox.dir, 'daemon.json'), JSON.stringify(settings));
  const engine = startProcess(...sandbox.command('dockerd', ...engineArguments(sandbox.dir, host)), {
    env: { ...process.env, ...home.env },
  });
  const docker: DockerEngine['docker'] = (...rest) => home.run('docker', '--host', host, ...rest);
  const close = async (): Promise<void> => {
    await engine.stop();
    await removeControlGroups(basename(sandbox.dir));
    await Promise.all([home.remove(), sandbox.remove()]);
  };
  try {
    await waitUntilReady(engine, async () => (await docker('version')).code === 0, 'Docker Engine');
  } catch (error) {
    await close();
    throw error;
  }
  return {
    home,
    docker,
    dockerOrThrow: (...rest) => home.runOrThrow('docker', '--host', host, ...rest),
    log: engine.log,
    close,
  };
}
