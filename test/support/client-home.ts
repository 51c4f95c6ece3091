// A home directory for container clients, so that they neither use nor change the user's own settings and logins.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run, runOrThrow, tempDir, toolPath, type RunResult } from './tool.ts';

export interface ClientHome {
  readonly dir: string;
  /** What a client must be started with: its home, its files of credentials. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs a tool (`skopeo`, `podman`, …) with this home to its end, whatever its exit code. */
  run(tool: string, ...args: string[]): Promise<RunResult>;
  /** The same; an Error with what was printed when it fails. */
  runOrThrow(tool: string, ...args: string[]): Promise<string>;
  remove(): Promise<void>;
}

/** An empty home with a policy that accepts unsigned images, which skopeo, podman and buildah insist on. */
export async function createClientHome(): Promise<ClientHome> {
  const { path: dir, remove } = await tempDir();
  const containers = join(dir, '.config/containers');
  const runtime = join(dir, 'run');
  await mkdir(containers, { recursive: true });
  await mkdir(runtime, { mode: 0o700 });
  await writeFile(join(containers, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
  const env = {
    HOME: dir,
    XDG_CONFIG_HOME: join(dir, '.config'),
    XDG_DATA_HOME: join(dir, '.local/share'),
    XDG_RUNTIME_DIR: runtime,
    DOCKER_CONFIG: join(dir, '.docker'),
    REGISTRY_AUTH_FILE: join(dir, 'auth.json'),
  };
  return {
    dir,
    env,
    run: (tool, ...args) => run(toolPath(tool), args, { env }),
    runOrThrow: (tool, ...args) => runOrThrow(toolPath(tool), args, { env }),
    remove,
  };
}
