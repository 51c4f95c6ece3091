// The registries that scripts try the proxy with: each is a program that takes Distribution's configuration.
import { run, toolPath } from '../test/support/tool.ts';

export interface RegistryKind {
  readonly name: string;
  readonly program: string;
  readonly version: string;
}

/** Those that can be tried here, and the names of the others: by `docker-registry` of the set-up, DISTRIBUTION3 (or `registry` in PATH) and GITLAB_REGISTRY. */
export async function findRegistries(): Promise<{ kinds: RegistryKind[]; absent: string[] }> {
  const candidates = [
    { name: 'Distribution 2', program: toolPath('docker-registry') },
    { name: 'Distribution 3', program: process.env['DISTRIBUTION3'] ?? 'registry' },
    { name: 'GitLab', program: process.env['GITLAB_REGISTRY'] ?? '' },
  ];
  const kinds: RegistryKind[] = [];
  const absent: string[] = [];
  for (const { name, program } of candidates) {
    const asked = program === '' ? undefined : await run(program, ['--version']).catch(() => undefined);
    if (asked?.code !== 0) absent.push(name);
    else kinds.push({ name, program, version: asked.stdout.trim().split(/\s+/).at(-1) ?? '' });
  }
  // Its configuration is another one, which nothing here writes.
  absent.push('zot');
  return { kinds, absent };
}
