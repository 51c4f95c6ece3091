// Clients that pull images by the primary's name, with the files of deploy/clients: through the proxy, and from the primary
// itself where the proxy is away.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSandboxedHome } from '../support/client-sandbox.ts';
import { alice, startClientSite, type ClientSite } from '../support/client-site.ts';
import { startContainerd } from '../support/containerd.ts';
import { tempDir, type TempDir } from '../support/tool.ts';

let site: ClientSite;
let scratch: TempDir;
beforeAll(async () => {
  [site, scratch] = await Promise.all([startClientSite(), tempDir()]);
});
afterAll(() => Promise.all([site?.close(), scratch?.remove()]));

const PRIMARY = 'registry.primary.example.com';
const SECONDARY = 'registry.secondary.example.com';

const read = (name: string): Promise<string> =>
  readFile(fileURLToPath(new URL(`../../deploy/clients/${name}`, import.meta.url)), 'utf8');

/** The file with the names of this site, which has no TLS. */
async function fileFor(name: string): Promise<string> {
  const text = await read(name);
  for (const host of [PRIMARY, SECONDARY]) expect(text).toContain(host);
  return text
    .replaceAll(PRIMARY, site.primaryRegistry)
    .replaceAll(SECONDARY, site.registry)
    .replaceAll('https:', 'http:');
}

const statuses = (repository: string): number[] =>
  site
    .answered()
    .filter(({ path }) => path?.startsWith(`/v2/${repository}/`))
    .map(({ status }) => status);

test('containerd pulls an image of the primary’s name through the proxy', async () => {
  const containerd = await startContainerd();
  try {
    const hosts = join(scratch.path, 'certs.d');
    await mkdir(join(hosts, site.primaryRegistry), { recursive: true });
    await writeFile(join(hosts, site.primaryRegistry, 'hosts.toml'), await fileFor('hosts.toml'));
    await site.pushBusybox({ repository: 'group/ctr-mirror', message: 'ctr-mirror' });
    site.forget();
    const name = `${site.primaryRegistry}/group/ctr-mirror:v1`;
    const user = ['--user', `${alice.user}:${alice.password}`];
    const pull = ['images', 'pull', '--snapshotter', 'native', '--hosts-dir', hosts, ...user, name];
    expect(await containerd.ctrOrThrow(...pull)).toContain('unpacking linux');
    expect(statuses('group/ctr-mirror')).toContain(200);
    expect(await containerd.ctrOrThrow('images', 'list')).toContain(name);
  } finally {
    await containerd.close();
  }
});

test('podman pulls an image of the primary’s name through the proxy', async () => {
  const home = await createSandboxedHome();
  try {
    const conf = join(home.dir, '.config/containers/registries.conf.d');
    await mkdir(conf);
    await writeFile(join(home.dir, 'auth.json'), '{}');
    const text = (await fileFor('registries.conf')).replaceAll(/^location = .*$/gm, '$&\ninsecure = true');
    await writeFile(join(conf, 'geo-registry-proxy.conf'), text);
    const places = ['--root', join(home.dir, 'storage'), '--runroot', join(home.dir, 'run-storage')];
    await site.pushBusybox({ repository: 'public/podman-mirror', message: 'podman-mirror' });
    site.forget();
    const name = `${site.primaryRegistry}/public/podman-mirror:v1`;
    await home.runOrThrow('podman', ...places, '--storage-driver', 'vfs', 'pull', name);
    expect(statuses('public/podman-mirror')).toContain(200);
  } finally {
    await home.remove();
  }
});

test('the file of k3s names what containerd’s does', async () => {
  const text = (await read('registries.yaml')).replaceAll(/^#.*\n/gm, '');
  expect(text).toBe(`mirrors:\n  ${PRIMARY}:\n    endpoint:\n      - https://${SECONDARY}\n`);
});
