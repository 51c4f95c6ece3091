// Docker Engine with state, socket and mounts of its own, and the `docker` command pointed at it.
import { existsSync } from 'node:fs';
import { readdir, rmdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createClientHome, type ClientHome } from './client-home.ts';
import { createSandbox } from './client-sandbox.ts';
import { startProcess, waitUntilReady } from './process.ts';
import { run, runOrThrow, toolPath, type RunResult } from './tool.ts';

export interface DockerEngineOptions {
  /** `vfs` when absent, which works on every file system; `undefined` lets the engine choose. */
  readonly storageDriver?: string | undefined;
  /** Milliseconds until a `docker` command is killed; a minute when absent. */
  readonly timeout?: number;
  /**
   * A bridge of this machine, for containers that have networks of their own with published ports. Without it they have
   * the host's network, or none.
   */
  readonly bridge?: string;
}

export interface DockerEngine {
  /** What `docker` keeps its logins in. */
  readonly home: ClientHome;
  /** The engine's address, as in `DOCKER_HOST`. */
  readonly host: string;
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

/** A bridge needs no packet filter here: ports are published by a process, and nothing leads to another machine. */
function networkArguments(bridge: string | undefined): string[] {
  const proxy = join(import.meta.dirname, '../../.tools/root/usr/sbin/docker-proxy');
  return bridge === undefined ? ['--bridge=none'] : [`--bridge=${bridge}`, `--userland-proxy-path=${proxy}`];
}

function engineArguments(dir: string, host: string, { storageDriver, bridge }: DockerEngineOptions): string[] {
  return [
    `--host=${host}`,
    `--data-root=${join(dir, 'data')}`,
    `--exec-root=${join(dir, 'exec')}`,
    `--pidfile=${join(dir, 'dockerd.pid')}`,
    `--config-file=${join(dir, 'daemon.json')}`,
    `--cgroup-parent=/${basename(dir)}`,
    ...(storageDriver === undefined ? [] : [`--storage-driver=${storageDriver}`]),
    // Neither interfaces nor packet filters of this machine are touched, but for a bridge that is asked for.
    ...networkArguments(bridge),
    '--iptables=false',
    '--ip6tables=false',
    '--ip-forward=false',
  ];
}

/** Starts `dockerd` and waits until it answers. It ends with the test's process at the latest. */
export async function startDockerEngine(options: DockerEngineOptions = {}): Promise<DockerEngine> {
  const { timeout = 60_000 } = options;
  const sandbox = await createSandbox();
  const home = await createClientHome();
  const host = `unix://${join(sandbox.dir, 'docker.sock')}`;
  // The one setting without an option: its default is in /etc.
  const settings = { 'deprecated-key-path': join(sandbox.dir, 'key.json') };
  await writeFile(join(sandbox.dir, 'daemon.json'), JSON.stringify(settings));
  const engine = startProcess(
    ...sandbox.command('dockerd', ...engineArguments(sandbox.dir, host, { storageDriver: 'vfs', ...options })),
    {
      env: { ...process.env, ...home.env },
    },
  );
  const client = { env: home.env, timeout };
  const docker: DockerEngine['docker'] = (...rest) => run(toolPath('docker'), ['--host', host, ...rest], client);
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
    host,
    docker,
    dockerOrThrow: (...rest) => runOrThrow(toolPath('docker'), ['--host', host, ...rest], client),
    log: engine.log,
    close,
  };
}
