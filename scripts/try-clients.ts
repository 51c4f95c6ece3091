// Clients that Debian does not have (crane, oras, helm, cosign) push through the one URL of nginx/unified-url.conf and pull from
// it at once: run by `npm run try:clients`, with those that are found in PATH or named by CRANE, ORAS, HELM and COSIGN. What
// each pushed must be at the primary, and come back by the proxy. Exit code 1 where one fails.
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createOciLayout } from '../test/support/oci-layout.ts';
import { run, runOrThrow, tempDir, toolPath } from '../test/support/tool.ts';
import { dev, startOneUrl, type OneUrl } from './one-url.ts';

interface Stage extends OneUrl {
  /** Where files may be put. */
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
}

interface Client {
  readonly name: string;
  /** What the realm is named by: crane refuses an address, and oras a name, of loopback. */
  readonly realm: 'localhost' | '127.0.0.1';
  /** What it prints its version by. */
  readonly version: readonly string[];
  /** Pushes and pulls, each step in words; gives the reference that must be at the primary. */
  readonly tries: (stage: Stage, client: (...args: string[]) => Promise<string>) => Promise<string[]>;
}

const login = (host: string): string[] => ['login', host, '--username', dev.user, '--password', dev.password];

const crane: Client = {
  name: 'crane',
  realm: 'localhost',
  version: ['version'],
  async tries({ host, dir }, client) {
    const { manifest } = await createOciLayout({ dir: join(dir, 'layout'), message: 'crane' });
    await client('auth', ...login(host));
    await client('push', join(dir, 'layout'), `${host}/group/crane:v1`);
    await client('pull', '--format', 'oci', `${host}/group/crane:v1`, join(dir, 'pulled'));
    // A copy to another repository mounts its layers.
    await client('copy', `${host}/group/crane:v1`, `${host}/group/crane-copy:v1`);
    const digest = (await client('digest', `${host}/group/crane-copy:v1`)).trim();
    if (digest !== manifest.digest) throw new Error(`the copy is ${digest} and not ${manifest.digest}`);
    await client('tag', `${host}/group/crane:v1`, 'v2');
    await client('delete', `${host}/group/crane-copy@${manifest.digest}`);
    return ['group/crane:v1', 'group/crane:v2'];
  },
};

const oras: Client = {
  name: 'oras',
  realm: '127.0.0.1',
  version: ['version'],
  async tries({ host, dir }, client) {
    const file = 'note.txt';
    await writeFile(join(dir, file), 'a note\n');
    await client(...login(host));
    await client('push', `${host}/group/oras:v1`, `${file}:text/plain`);
    await client('attach', '--artifact-type', 'example/signature', `${host}/group/oras:v1`, `${file}:text/plain`);
    const found = await client('discover', '--format', 'json', `${host}/group/oras:v1`);
    if (!found.includes('example/signature')) throw new Error(`the attached artifact is not found: ${found}`);
    await client('pull', '--output', join(dir, 'pulled'), `${host}/group/oras:v1`);
    return ['group/oras:v1'];
  },
};

const helm: Client = {
  name: 'helm',
  realm: '127.0.0.1',
  version: ['version', '--short'],
  async tries({ host, dir }, client) {
    const chart = resolve(import.meta.dirname, '../deploy/helm/geo-registry-proxy');
    await client('registry', ...login(host));
    const packaged = (await client('package', chart, '--destination', dir)).trim().split(' ').at(-1)!;
    await client('push', packaged, `oci://${host}/group/charts`);
    const version = /-([\d.]+)\.tgz$/.exec(packaged)![1]!;
    await mkdir(join(dir, 'pulled'));
    const name = `oci://${host}/group/charts/geo-registry-proxy`;
    await client('pull', name, '--version', version, '--destination', join(dir, 'pulled'));
    return [`group/charts/geo-registry-proxy:${version}`];
  },
};

const cosign: Client = {
  name: 'cosign',
  realm: 'localhost',
  version: ['version'],
  async tries({ host, dir, env }, client) {
    const { reference } = await createOciLayout({ dir: join(dir, 'layout'), message: 'cosign' });
    const creds = `${dev.user}:${dev.password}`;
    const name = `${host}/group/cosign:v1`;
    await runOrThrow(
      toolPath('skopeo'),
      ['--insecure-policy', 'copy', '--dest-tls-verify=false', '--dest-creds', creds, reference, `docker://${name}`],
      { env },
    );
    const key = join(dir, 'cosign');
    await client('generate-key-pair', '--output-key-prefix', key);
    await client(...login(host));
    await client('sign', '--yes', '--tlog-upload=false', '--key', `${key}.key`, name);
    await client('verify', '--insecure-ignore-tlog', '--key', `${key}.pub`, name);
    return ['group/cosign:v1'];
  },
};

/** Whether the primary itself has it. */
async function isAtPrimary({ site }: Stage, reference: string): Promise<boolean> {
  const [repository = '', tag = ''] = reference.split(':');
  const { url, token } = site.primaryTarget(repository);
  const accept = 'application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json';
  const headers = { authorization: `Bearer ${token}`, accept };
  return (await fetch(`${url}/v2/${repository}/manifests/${tag}`, { method: 'HEAD', headers })).status === 200;
}

/** What came of it, in a line; undefined where the client is not there. */
async function tried(stage: OneUrl, client: Client): Promise<{ ok: boolean; text: string }> {
  await using scratch = await tempDir();
  const dir = scratch.path;
  const path = process.env[client.name.toUpperCase()] ?? client.name;
  const env = {
    HOME: dir,
    DOCKER_CONFIG: join(dir, '.docker'),
    SSL_CERT_FILE: stage.caFile,
    COSIGN_PASSWORD: '',
  };
  const exec = (...args: string[]): Promise<string> => runOrThrow(path, args, { env, cwd: dir });
  const version = await run(path, client.version, { env }).catch(() => undefined);
  if (version === undefined) return { ok: true, text: 'not tried: it is not in PATH' };
  // cosign draws its name first.
  const words = /^(?:(?:Git)?Version:\s*)?(v?\d[\w.+-]*)/m.exec(version.stdout)?.[1] ?? 'of an unknown version';
  try {
    const whole = { ...stage, dir, env };
    const pushed = await client.tries(whole, exec);
    const answers = await Promise.all(pushed.map((reference) => isAtPrimary(whole, reference)));
    const lost = pushed.filter((_reference, nth) => !answers[nth]);
    return lost.length > 0
      ? { ok: false, text: `${words}: not at the primary: ${lost.join(', ')}` }
      : { ok: true, text: `${words}: pushed, pulled, and at the primary: ${pushed.join(', ')}` };
  } catch (error) {
    return { ok: false, text: `${words}: ${(error as Error).message.trim()}` };
  }
}

for (const client of [crane, oras, helm, cosign]) {
  const stage = await startOneUrl({ realm: client.realm });
  try {
    const { ok, text } = await tried(stage, client);
    console.log(`${ok ? ' ' : '!'} ${client.name.padEnd(7)} ${text}`);
    if (!ok) process.exitCode = 1;
  } finally {
    await stage.close();
  }
}
