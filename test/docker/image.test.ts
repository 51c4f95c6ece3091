// The image of the Dockerfile, built and run by a real Docker Engine (as root).
import { chmod, copyFile, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDockerEngine, type DockerEngine } from '../support/dockerd.ts';
import { image } from '../support/image.ts';
import { pushImage } from '../support/push.ts';
import { startSites, type Sites } from '../support/sites.ts';
import { freePort, tempDir, waitFor, type TempDir } from '../support/tool.ts';
import { importBaseImage } from './base-image.ts';
import { scaled } from '../support/patience.ts';

const clone = resolve(import.meta.dirname, '../..');

let engine: DockerEngine;
let sites: Sites;
let keys: TempDir;
let port: number;

/** The site's environment as a container on the host's network has it; the key's file is mounted. */
function environment(): string[] {
  const { GEO_DATA_DIR: _data, ...env } = sites.env();
  const inside = { ...env, GEO_KEY_FILE: '/keys/gitlab-registry.key', GEO_LISTEN: `0.0.0.0:${port}` };
  return Object.entries(inside).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
}

function startProxy(name: string, ...options: string[]): Promise<string> {
  const volumes = ['--volume', `${keys.path}:/keys:ro`];
  return engine.dockerOrThrow(
    'run',
    '--detach',
    '--name',
    name,
    '--network=host',
    ...volumes,
    ...environment(),
    ...options,
    'proxy',
  );
}

beforeAll(async () => {
  [engine, sites, keys, port] = await Promise.all([
    // The driver that the machine is best at: a build makes some twenty layers, and vfs copies them whole.
    startDockerEngine({ storageDriver: undefined, timeout: 300_000 }),
    startSites(),
    tempDir(),
    freePort(),
  ]);
  // The container's user is another one than the tests'.
  await chmod(keys.path, 0o755);
  await copyFile(sites.keys.keyFile, join(keys.path, 'gitlab-registry.key'));
  await chmod(join(keys.path, 'gitlab-registry.key'), 0o644);
  await importBaseImage(engine, 'base');
  await engine.dockerOrThrow('build', '--network=none', '--build-arg', 'NODE_IMAGE=base', '--tag', 'proxy', clone);
}, scaled(300_000));

afterAll(async () => {
  await engine.close();
  await Promise.all([sites.close(), keys.remove()]);
});

test('holds what runs, and neither sources nor tools', async () => {
  const listing = ['run', '--rm', '--network=none', '--entrypoint', 'sh', 'proxy', '-c'];
  const files = await engine.dockerOrThrow(...listing, 'ls /app');
  expect(files.trim().split('\n')).toEqual(['LICENSE', 'geo-registry-proxy.licences.txt', 'geo-registry-proxy.mjs']);
});

test('runs as a user who may write to /data and nowhere else', async () => {
  const ask = ['id -u', 'stat -c "%a %u" /data', 'mkdir /app/x 2>/dev/null || echo refused'].join('; ');
  const answers = await engine.dockerOrThrow('run', '--rm', '--network=none', '--entrypoint', 'sh', 'proxy', '-c', ask);
  expect(answers).toBe('1000\n700 1000\nrefused\n');
});

test('has the program on the path, for a shell in it', async () => {
  const ask = ['run', '--rm', '--network=none', '--entrypoint', 'geo-registry-proxy', 'proxy', '--help'];
  expect(await engine.dockerOrThrow(...ask)).toContain('promote-check');
});

test('holds the certificate authorities that it was built with', async () => {
  const args = ['--build-arg', 'NODE_IMAGE=base', '--build-arg', `EXTRA_CA=${sites.keys.certPem}`, '--tag', 'with-ca'];
  await engine.dockerOrThrow('build', '--network=none', ...args, clone);
  const ask = 'cat "$GEO_CA_FILE"';
  const listing = ['run', '--rm', '--network=none', '--entrypoint', 'sh', 'with-ca', '-c', ask];
  expect((await engine.dockerOrThrow(...listing)).trim()).toBe(sites.keys.certPem.trim());
});

test('takes a command of the program', async () => {
  const { version } = JSON.parse(await readFile(join(clone, 'package.json'), 'utf8')) as { version: string };
  expect(await engine.dockerOrThrow('run', '--rm', '--network=none', 'proxy', '--version')).toBe(`${version}\n`);
});

test('serves a pull, is found healthy, and stops in order on docker stop', async () => {
  const pushed = image('image');
  await pushImage(sites.primaryTarget('group/image'), 'v1', pushed);
  await startProxy('serving', '--read-only', '--health-interval=500ms');
  const health = async (): Promise<boolean> =>
    (await engine.dockerOrThrow('inspect', '--format', '{{.State.Health.Status}}', 'serving')).trim() === 'healthy';
  await waitFor(health, { what: 'a healthy container', timeout: 20_000 });
  const headers = { authorization: `Bearer ${sites.pullToken('group/image')}`, accept: pushed.mediaType };
  const answer = await fetch(`http://127.0.0.1:${port}/v2/group/image/manifests/v1`, { headers });
  expect({ status: answer.status, body: await answer.text() }).toEqual({ status: 200, body: pushed.bytes.toString() });
  await engine.dockerOrThrow('stop', '--time=20', 'serving');
  expect((await engine.dockerOrThrow('inspect', '--format', '{{.State.ExitCode}}', 'serving')).trim()).toBe('0');
  expect(await engine.dockerOrThrow('logs', 'serving')).toContain('"msg":"stopped"');
});
