// The Debian package: what is in it, whose it is, and that its unit and variables are those that the documents show.
import { readFileSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildDeb } from '../../scripts/build-deb.mjs';
import { systemdUnit } from '../../src/init/unit.ts';
import { createSiteKeys } from '../support/keys.ts';
import { run, runOrThrow, tempDir, type TempDir } from '../support/tool.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

let scratch: TempDir;
let file: string;
let tree: string;
beforeAll(async () => {
  scratch = await tempDir();
  // Node itself takes seconds to be packed.
  const node = join(scratch.path, 'node');
  await writeFile(node, `#!/bin/sh\nexec ${process.execPath} "$@"\n`);
  await chmod(node, 0o755);
  file = await buildDeb({ folder: scratch.path, node, version: '9.8.7', arch: 'arm64' });
  tree = join(scratch.path, 'tree');
  await runOrThrow('dpkg-deb', ['--raw-extract', file, tree]);
});
afterAll(() => scratch.remove());

test('its name, version and architecture are what was asked for, and all belongs to root', async () => {
  expect(file).toMatch(/\/geo-registry-proxy_9\.8\.7_arm64\.deb$/);
  const fields = await runOrThrow('dpkg-deb', ['--field', file, 'Version', 'Architecture', 'Package']);
  expect(fields.trim().split('\n').toSorted()).toEqual([
    'Architecture: arm64',
    'Package: geo-registry-proxy',
    'Version: 9.8.7',
  ]);
  const entries = (await runOrThrow('dpkg-deb', ['--contents', file])).trim().split('\n');
  const modeOf = (path: string): string | undefined => entries.find((one) => one.endsWith(` .${path}`))?.split(' ')[0];
  expect(entries.filter((one) => !one.includes(' root/root '))).toEqual([]);
  // The variables may hold secrets.
  expect(modeOf('/etc/geo-registry-proxy/proxy.env')).toBe('-rw-r-----');
  expect(modeOf('/opt/geo-registry-proxy/node')).toBe('-rwxr-xr-x');
  expect(modeOf('/usr/bin/geo-registry-proxy')).toBe('-rwxr-xr-x');
  expect(readFileSync(join(tree, 'DEBIAN/conffiles'), 'utf8')).toBe('/etc/geo-registry-proxy/proxy.env\n');
});

test('its program runs, and its man page and completions are the program’s', async () => {
  const program = join(tree, 'opt/geo-registry-proxy/geo-registry-proxy.mjs');
  const { version } = JSON.parse(read('package.json')) as { version: string };
  const node = join(tree, 'opt/geo-registry-proxy/node');
  expect(await runOrThrow(node, ['--', program, 'version'])).toContain(version);
  const wrapper = readFileSync(join(tree, 'usr/bin/geo-registry-proxy'), 'utf8');
  expect(wrapper).toContain('/opt/geo-registry-proxy/node -- /opt/geo-registry-proxy/geo-registry-proxy.mjs "$@"');
  const page = await runOrThrow('gzip', ['-dc', join(tree, 'usr/share/man/man1/geo-registry-proxy.1.gz')]);
  expect(page).toContain('.SH OPTIONS');
  const completion = readFileSync(join(tree, 'usr/share/bash-completion/completions/geo-registry-proxy'), 'utf8');
  expect(completion).toContain('promote-check');
});

test.each(['postinst', 'prerm', 'postrm'])('%s is a script of sh', async (script) => {
  expect(await run('sh', ['-n', join(tree, 'DEBIAN', script)])).toMatchObject({ code: 0, stderr: '' });
});

test('its unit hands the key over as a credential, and differs from the documented one in nothing else', () => {
  const unit = readFileSync(join(tree, 'lib/systemd/system/geo-registry-proxy.service'), 'utf8');
  expect(unit).toBe(
    systemdUnit({
      node: '/opt/geo-registry-proxy/node',
      program: '/opt/geo-registry-proxy/geo-registry-proxy.mjs',
      envFile: '/etc/geo-registry-proxy/proxy.env',
      dataDir: '/var/lib/geo-registry-proxy',
      keyFile: '/etc/geo-registry-proxy/gitlab-registry.key',
    }),
  );
  const documented = read('docs/operating.md').split('\n');
  const own = unit.split('\n').filter((line) => !documented.includes(line));
  expect(own.map((line) => line.split('=')[0])).toEqual([
    expect.stringMatching(/^# The key/),
    expect.stringMatching(/^# see no-key/),
    'LoadCredential',
    'Environment',
    'ExecStart',
    expect.stringMatching(/^# Certificates/),
  ]);
});

test('its variables are a valid configuration, with the file of the key or the credential in its place', async () => {
  const keys = await createSiteKeys();
  try {
    const envFile = join(tree, 'etc/geo-registry-proxy/proxy.env');
    const variables = parseEnv(readFileSync(envFile, 'utf8'));
    expect(variables['GEO_KEY_FILE']).toBe('/etc/geo-registry-proxy/gitlab-registry.key');
    const env = { GEO_KEY_FILE: keys.keyFile, GEO_DATA_DIR: join(scratch.path, 'data') };
    const program = join(tree, 'opt/geo-registry-proxy/geo-registry-proxy.mjs');
    const checked = await run(process.execPath, ['--', program, '--env-file', envFile, 'config', '--check'], { env });
    expect(checked).toMatchObject({ code: 0, stderr: '' });
  } finally {
    await keys.remove();
  }
});
