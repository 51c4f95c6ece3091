// nginx/unified-url.conf in a real nginx: one hostname to push to and to pull from, with token authentication.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createClientHome } from '../support/client-home.ts';
import { createSandboxedHome } from '../support/client-sandbox.ts';
import { blob } from '../support/content.ts';
import { startDockerEngine } from '../support/dockerd.ts';
import { manifest } from '../support/image.ts';
import { createOciLayout } from '../support/oci-layout.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob, putManifest } from '../support/push.ts';
import { startRelay, type Relay } from '../support/relay.ts';
import { repositoryAccess } from '../support/token.ts';
import { freePort, run, tempDir, toolPath } from '../support/tool.ts';
import { ask, type Answer, type Asking } from './client.ts';
import { hostname, startNginx, type Nginx } from './site.ts';

const dev = { user: 'dev', password: 'secret' };

let site: ProxySite;
/** Between nginx and the primary: what went to the primary by nginx. */
let pushes: Relay;
let nginx: Nginx;

beforeAll(async () => {
  const port = await freePort();
  site = await startProxySite({
    env: { GEO_LISTEN: `127.0.0.1:${port}` },
    primary: { deleteEnabled: true },
    users: { [dev.user]: dev.password },
    projects: { [dev.user]: { '**': ['pull', 'push', 'delete'] } },
  });
  pushes = await startRelay({ target: site.primary.url });
  nginx = await startNginx(port, { primary: pushes.port });
});
afterEach(async () => {
  pushes.reset();
  await pushes.up();
});
afterAll(async () => {
  await nginx?.close();
  await pushes?.close();
  await site?.close();
});

const shared = (): string => `127.0.0.1:${nginx.httpsPort}`;

function asked(path: string, asking: Asking & { repositories?: string[] } = {}): Promise<Answer> {
  const { repositories = [path.replace(/\/(?:manifests|blobs|tags)\/.*$/, '')], headers, ...rest } = asking;
  const token = site.tokenFor(repositories.map((name) => repositoryAccess(name, 'pull', 'push', 'delete')));
  return ask('HTTP/2', nginx, `/v2/${path}`, { ...rest, headers: { authorization: `Bearer ${token}`, ...headers } });
}

/** The path after `/v2/` of a Location on the shared hostname; an Error for any other. */
function pathOf({ headers }: Answer): string {
  const location = new URL(String(headers['location']));
  expect(location.origin).toBe(`https://${hostname}:${nginx.httpsPort}`);
  return `${location.pathname}${location.search}`.replace('/v2/', '');
}

const methodsAtPrimary = (): string[] => pushes.requests.map(({ method }) => method);

test('nginx takes the site without a warning', async () => {
  const { code, stderr } = await run(toolPath('nginx'), ['-t', '-c', nginx.configFile, '-e', 'stderr']);
  expect({ code, complaints: stderr.match(/\[\w+\].*/g) }).toEqual({ code: 0, complaints: null });
});

test('a chunked upload stays on the shared hostname, its status is the primary’s, and its blob is pulled at once', async () => {
  const layer = blob(300_000, 'chunked');
  const before = await nginx.bufferedOnDisk();
  let upload = await asked('group/chunked/blobs/uploads/', { method: 'POST' });
  expect(upload.status).toBe(202);
  for (const [from, to] of [
    [0, 200_000],
    [200_000, 300_000],
  ] as const) {
    upload = await asked(pathOf(upload), {
      method: 'PATCH',
      headers: { 'content-type': 'application/octet-stream', 'content-range': `${from}-${to - 1}` },
      body: layer.bytes.subarray(from, to),
      repositories: ['group/chunked'],
    });
    expect(upload.status).toBe(202);
    const status = await asked(pathOf(upload), { repositories: ['group/chunked'] });
    expect({ status: status.status, range: status.headers['range'] }).toEqual({ status: 204, range: `0-${to - 1}` });
  }
  const put = await asked(`${pathOf(upload)}&digest=${layer.digest}`, {
    method: 'PUT',
    repositories: ['group/chunked'],
  });
  expect({ status: put.status, path: pathOf(put) }).toEqual({
    status: 201,
    path: `group/chunked/blobs/${layer.digest}`,
  });
  const pulled = await asked(`group/chunked/blobs/${layer.digest}`);
  expect(createHash('sha256').update(pulled.body).digest('hex')).toBe(layer.digest.slice('sha256:'.length));
  expect(methodsAtPrimary()).toEqual(['POST', 'PATCH', 'GET', 'PATCH', 'GET', 'PUT']);
  expect(await nginx.bufferedOnDisk()).toBe(before);
});

test('a mount from another repository, a tag, and its removal', async () => {
  const image = manifest({ layers: [blob(1_000, 'mounted')] });
  for (const { digest } of image.blobs) {
    const begun = await asked('group/from/blobs/uploads/', { method: 'POST' });
    const content = image.blobs.find((each) => each.digest === digest) as unknown as { bytes: Buffer };
    const put = await asked(`${pathOf(begun)}&digest=${digest}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream' },
      body: content.bytes,
      repositories: ['group/from'],
    });
    expect(put.status).toBe(201);
    const mount = await asked(`group/to/blobs/uploads/?mount=${digest}&from=group/from`, {
      method: 'POST',
      repositories: ['group/to', 'group/from'],
    });
    expect({ status: mount.status, path: pathOf(mount) }).toEqual({ status: 201, path: `group/to/blobs/${digest}` });
  }
  const put = await asked('group/to/manifests/v1', {
    method: 'PUT',
    headers: { 'content-type': image.mediaType },
    body: image.bytes,
  });
  expect({ status: put.status, path: pathOf(put) }).toEqual({
    status: 201,
    path: `group/to/manifests/${image.digest}`,
  });
  const accept = { accept: image.mediaType };
  expect((await asked('group/to/manifests/v1', { headers: accept })).body.equals(image.bytes)).toBe(true);
  expect((await asked(`group/to/manifests/${image.digest}`, { method: 'DELETE' })).status).toBe(202);
  expect((await asked('group/to/manifests/v1', { headers: accept })).status).toBe(404);
});

test.each([
  ['relative', () => '/v2/group/at/blobs/uploads/x?_state=a%2Fb'],
  ['absolute', () => `http://127.0.0.1:${pushes.port}/v2/group/at/blobs/uploads/x?_state=a%2Fb`],
  ['absolute, of the other scheme', () => 'https://127.0.0.1/v2/group/at/blobs/uploads/x?_state=a%2Fb'],
  ['absolute, below a path', () => `http://127.0.0.1:${pushes.port}/registry/v2/group/at/blobs/uploads/x?_state=a%2Fb`],
])('a Location that is %s leads to the shared hostname', async (_form, location) => {
  pushes.rules.push({ answer: { status: 202, headers: { location: location() } } });
  expect(pathOf(await asked('group/at/blobs/uploads/', { method: 'POST' }))).toBe(
    'group/at/blobs/uploads/x?_state=a%2Fb',
  );
});

test('a Location elsewhere stays as it is', async () => {
  const location = 'https://bucket.storage.example.com/v2/x';
  pushes.rules.push({ answer: { status: 307, headers: { location } } });
  const { headers } = await asked('group/at/blobs/sha256:00', { method: 'HEAD' });
  expect(headers['location']).toBe(location);
});

describe('HEAD', () => {
  const image = manifest({ layers: [blob(1_000, 'head')] });
  const head = (): Promise<Answer> =>
    asked('group/head/manifests/v1', { method: 'HEAD', headers: { accept: image.mediaType } });

  test('is the primary’s, also where the secondary has more', async () => {
    const layer = blob(1_000, 'secondary only');
    await pushBlob(site.secondaryTarget('group/head'), layer);
    expect((await asked(`group/head/blobs/${layer.digest}`, { method: 'HEAD' })).status).toBe(404);
    expect(methodsAtPrimary()).toEqual(['HEAD']);
  });

  test('is the proxy’s while the primary does not answer, and a push fails then in the form of the specification', async () => {
    for (const target of [site.primaryTarget('group/head'), site.secondaryTarget('group/head')]) {
      for (const content of image.blobs) await pushBlob(target, content);
      await putManifest(target, 'v1', image);
    }
    await pushes.down();
    const answer = await head();
    expect({ status: answer.status, digest: answer.headers['docker-content-digest'] }).toEqual({
      status: 200,
      digest: image.digest,
    });
    const push = await asked('group/head/blobs/uploads/', { method: 'POST' });
    expect(push.status).toBe(503);
    expect(JSON.parse(push.body.toString())).toMatchObject({ errors: [{ code: 'UNAVAILABLE' }] });
  });

  test('of a primary in maintenance is the proxy’s, too', async () => {
    pushes.rules.push({ answer: { status: 503 } });
    expect((await head()).status).toBe(200);
  });
});

test('both sides send clients to one realm', async () => {
  const challenges = await Promise.all(
    (['GET', 'POST'] as const).map(async (method) => {
      const { status, headers } = await ask('HTTP/2', nginx, '/v2/group/realm/blobs/uploads/', { method });
      return { status, realm: /realm="([^"]*)"/.exec(String(headers['www-authenticate']))?.[1] };
    }),
  );
  const pull = await ask('HTTP/2', nginx, '/v2/');
  const realm = /realm="([^"]*)"/.exec(String(pull.headers['www-authenticate']))?.[1];
  expect(challenges).toEqual([
    { status: 401, realm },
    { status: 401, realm },
  ]);
  expect(realm).toBe(site.tokens.realm);
});

test('the proxy itself goes on refusing pushes', async () => {
  expect((await site.ask('group/project/blobs/uploads/', { method: 'POST' })).status).toBe(405);
});

test('skopeo pushes and pulls', async () => {
  const [home, scratch] = [await createClientHome(), await tempDir()];
  const layout = await createOciLayout({ dir: join(scratch.path, 'layout'), message: 'skopeo' });
  const creds = `${dev.user}:${dev.password}`;
  const name = `docker://${shared()}/group/skopeo:v1`;
  await home.runOrThrow('skopeo', 'copy', '--dest-tls-verify=false', '--dest-creds', creds, layout.reference, name);
  const pulled = `oci:${join(scratch.path, 'pulled')}:latest`;
  await home.runOrThrow('skopeo', 'copy', '--src-tls-verify=false', '--src-creds', creds, name, pulled);
  expect(methodsAtPrimary()).toContain('PATCH');
  await Promise.all([home.remove(), scratch.remove()]);
});

const mayMount = (await run('unshare', ['--mount', 'true'])).code === 0;

describe.skipIf(!mayMount)('as root, with the right to mount', () => {
  test.each(['podman', 'buildah'])('%s pushes and pulls', async (tool) => {
    const [home, scratch] = [await createSandboxedHome(), await tempDir()];
    const layout = await createOciLayout({ dir: join(scratch.path, 'layout'), message: tool });
    const store = ['--root', join(home.dir, 'storage'), '--runroot', join(home.dir, 'run-storage')];
    const client = (...args: string[]): Promise<string> =>
      home.runOrThrow(tool, ...store, '--storage-driver', 'vfs', ...args);
    const creds = ['--tls-verify=false'];
    // The file of credentials must be there, also for what needs none.
    await client('login', ...creds, '--username', dev.user, '--password', dev.password, shared());
    const archive = `docker-archive:${join(scratch.path, 'image.tar')}`;
    await home.runOrThrow('skopeo', 'copy', layout.reference, `${archive}:localhost/made:here`);
    const id = (await client('pull', archive)).trim();
    const name = `${shared()}/group/${tool}:v1`;
    await client('push', ...creds, id, `docker://${name}`);
    await client('rmi', '--all', '--force');
    expect((await client('pull', ...creds, name)).trim()).toBe(id);
    await Promise.all([home.remove(), scratch.remove()]);
  });

  test('Docker Engine pushes and pulls', async () => {
    const [engine, scratch] = [await startDockerEngine(), await tempDir()];
    const layout = await createOciLayout({ dir: join(scratch.path, 'layout'), message: 'docker' });
    const name = `${shared()}/group/docker:v1`;
    const archive = join(scratch.path, 'image.tar');
    await engine.home.runOrThrow('skopeo', 'copy', layout.reference, `docker-archive:${archive}:${name}`);
    await engine.dockerOrThrow('load', '--input', archive);
    await engine.dockerOrThrow('login', '--username', dev.user, '--password', dev.password, shared());
    const digest = /digest: (sha256:\w+)/.exec(await engine.dockerOrThrow('push', name))?.[1];
    await engine.dockerOrThrow('rmi', name);
    expect(await engine.dockerOrThrow('pull', name)).toContain(`Digest: ${digest}`);
    await Promise.all([engine.close(), scratch.remove()]);
  });
});
