// nginx/registry.conf in a real nginx, before the proxy with real registries behind it.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClientHome } from '../support/client-home.ts';
import { blob, largeBlob, type Blob } from '../support/content.ts';
import { createOciLayout } from '../support/oci-layout.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { image } from '../support/image.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import { repositoryAccess } from '../support/token.ts';
import { freePort, run, runOrThrow, tempDir, toolPath, waitFor } from '../support/tool.ts';
import { ask, open, type Protocol } from './client.ts';
import { startNginx, type Nginx } from './site.ts';

const MiB = 1024 * 1024;
const protocols: Protocol[] = ['HTTP/1.1', 'HTTP/2'];
const eventsToken = 'a secret of the primary';
const dev = { user: 'dev', password: 'secret' };

let site: ProxySite;
let nginx: Nginx;

beforeAll(async () => {
  const port = await freePort();
  site = await startProxySite({
    env: {
      GEO_LISTEN: `127.0.0.1:${port}`,
      GEO_PUSH_HOST: 'registry.example.com:5050',
      GEO_EVENTS_TOKEN: eventsToken,
      GEO_REPLICATION: 'on',
    },
    users: { [dev.user]: dev.password },
    projects: { [dev.user]: { '**': ['pull', 'push'] } },
  });
  nginx = await startNginx(port);
});

afterAll(async () => {
  await nginx.close();
  await site.close();
});

/** A blob that only the primary has. */
async function pushed(repository: string, content: Blob): Promise<string> {
  await pushBlob(site.primaryTarget(repository), content);
  return `/v2/${repository}/blobs/${content.digest}`;
}

function bearer(repository: string): Record<string, string> {
  return { authorization: `Bearer ${site.pullToken(repository)}` };
}

async function digestOf(body: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of body as AsyncIterable<Buffer>) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

test('nginx takes the site without a warning', async () => {
  const { code, stderr } = await run(toolPath('nginx'), ['-t', '-c', nginx.configFile, '-e', 'stderr']);
  expect({ code, complaints: stderr.match(/\[\w+\].*/g) }).toEqual({ code: 0, complaints: null });
});

describe.each(protocols)('%s over TLS', (protocol) => {
  test('pulls a large blob byte for byte, cold and warm, and parts of it', async () => {
    const repository = `pull/${protocol.toLowerCase()}`.replace(/[^a-z0-9/]/g, '-');
    const large = await largeBlob(48 * MiB, repository);
    const path = await pushed(repository, large);
    for (const _temperature of ['cold', 'warm']) {
      const { status, headers, body } = await open(protocol, nginx, path, { headers: bearer(repository) });
      expect({ status, length: headers['content-length'] }).toEqual({ status: 200, length: String(large.size) });
      expect(await digestOf(body)).toBe(large.digest);
    }
    const part = await ask(protocol, nginx, path, { headers: { ...bearer(repository), range: 'bytes=-5' } });
    expect({ status: part.status, length: part.body.length }).toEqual({ status: 206, length: 5 });
  });

  test('a refused push of 20 MB gets its answer, and its body is not kept on disk', async () => {
    const before = await nginx.bufferedOnDisk();
    const { status, headers, body } = await ask(protocol, nginx, '/v2/group/project/blobs/uploads/x', {
      method: 'PATCH',
      headers: { 'content-type': 'application/octet-stream' },
      body: 20_000_000,
    });
    expect({ status, allow: headers['allow'] }).toEqual({ status: 405, allow: 'GET, HEAD' });
    const message = 'this registry is a read-only copy; push to registry.example.com:5050 instead';
    expect(JSON.parse(body.toString())).toMatchObject({
      errors: [{ code: 'UNSUPPORTED', message }, { code: 'DENIED' }],
    });
    expect(await nginx.bufferedOnDisk()).toBe(before);
  });

  test('what a slow client has not taken yet is not kept on disk', async () => {
    const repository = `slow/${protocol.slice(5).replace('.', '-')}`;
    const large = await largeBlob(48 * MiB, repository);
    const path = await pushed(repository, large);
    const before = await nginx.bufferedOnDisk();
    const slow = await open(protocol, nginx, path, { headers: bearer(repository) });
    await once(slow.body, 'readable');
    const quick = await open(protocol, nginx, path, { headers: bearer(repository) });
    expect(await digestOf(quick.body)).toBe(large.digest);
    expect(await nginx.bufferedOnDisk()).toBe(before);
    expect(await digestOf(slow.body)).toBe(large.digest);
  });

  test.each([
    { kind: 'with a length', chunked: false },
    { kind: 'without a length', chunked: true },
  ])('a body $kind that breaks off is no whole one', async ({ kind, chunked }) => {
    const repository = 'cut/project';
    const content = blob(MiB, `${protocol} ${kind}`);
    const path = await pushed(repository, content);
    // The last byte is wrong: the proxy has sent nearly all before it knows.
    site.relay.rules.push({
      match: (request) => request.path === path,
      chunked,
      ignoreRange: chunked,
      corruptAt: content.size - 1,
    });
    const { status, headers, body } = await open(protocol, nginx, path, { headers: bearer(repository) });
    expect({ status, hasLength: 'content-length' in headers }).toEqual({ status: 200, hasLength: !chunked });
    await expect(body.toArray()).rejects.toThrow();
  });

  test('a token of 12 KiB passes', async () => {
    const access = Array.from({ length: 140 }, (_, index) => repositoryAccess(`group/project-${index}`, 'pull'));
    const token = site.tokenFor(access);
    expect(token.length).toBeGreaterThan(12 * 1024);
    const { status } = await ask(protocol, nginx, '/v2/', { headers: { authorization: `Bearer ${token}` } });
    expect(status).toBe(200);
  });

  test.each(['/v2/', '/v2'])('%s without a token is the proxy’s challenge', async (path) => {
    const { status, headers } = await ask(protocol, nginx, path);
    expect({ status, challenge: headers['www-authenticate'] }).toEqual({
      status: 401,
      challenge: `Bearer realm="${site.tokens.realm}",service="container_registry"`,
    });
  });

  test.each(['/', '/healthz', '/metrics', '/v2/../healthz', '/v22', '/api/status'])(
    '%s is not for clients',
    async (path) => {
      const { status, body } = await ask(protocol, nginx, path);
      expect({ status, fromNginx: body.includes('nginx') }).toEqual({ status: 404, fromNginx: true });
    },
  );

  test('the proxy is restarted between two requests on one nginx', async () => {
    const path = await pushed('restart/project', blob(1_000, protocol));
    const first = await ask(protocol, nginx, path, { headers: bearer('restart/project') });
    await site.restart();
    const second = await ask(protocol, nginx, path, { headers: bearer('restart/project') });
    expect([first.status, second.status]).toEqual([200, 200]);
  });
});

test('a push to the primary that is announced through nginx arrives without a pull', async () => {
  const announced = image('announced');
  await pushImage(site.primaryTarget('announced/project'), 'v1', announced);
  const event = { action: 'push', target: { repository: 'announced/project', tag: 'v1', digest: announced.digest } };
  const { status } = await ask('HTTP/1.1', nginx, '/api/v4/container_registry_event/events', {
    method: 'POST',
    headers: {
      authorization: eventsToken,
      'content-type': 'application/vnd.docker.distribution.events.v1+json',
    },
    body: JSON.stringify({ events: [event] }),
  });
  expect(status).toBe(200);
  const { url, token } = site.secondaryTarget('announced/project');
  const stored = async (): Promise<boolean> => {
    const headers = { authorization: `Bearer ${token}`, accept: announced.mediaType };
    const answer = await fetch(`${url}/v2/announced/project/manifests/v1`, { method: 'HEAD', headers });
    return answer.headers.get('docker-content-digest') === announced.digest;
  };
  await waitFor(stored, { what: 'the image in the secondary' });
});

test('port 80 leads to https', async () => {
  const answer = await fetch(`http://127.0.0.1:${nginx.httpPort}/v2/?n=1`, { redirect: 'manual' });
  expect({ status: answer.status, location: answer.headers.get('location') }).toEqual({
    status: 301,
    location: 'https://registry.secondary.example.com/v2/?n=1',
  });
});

test('skopeo logs in and pulls through nginx what was just pushed to the primary', async () => {
  const [home, scratch] = [await createClientHome(), await tempDir()];
  const layout = await createOciLayout({ dir: join(scratch.path, 'layout') });
  const primary = `127.0.0.1:${site.primary.port}`;
  const login = `${dev.user}:${dev.password}`;
  const push = ['--dest-tls-verify=false', '--dest-creds', login];
  await home.runOrThrow('skopeo', 'copy', ...push, layout.reference, `docker://${primary}/skopeo/project:v1`);
  const certs = join(scratch.path, 'certs');
  await mkdir(certs);
  await copyFile(nginx.tls.certFile, join(certs, 'ca.crt'));
  const pulled = join(scratch.path, 'pulled');
  const source = `docker://127.0.0.1:${nginx.httpsPort}/skopeo/project:v1`;
  const pull = ['--src-cert-dir', certs, '--src-creds', login];
  await home.runOrThrow('skopeo', 'copy', ...pull, source, `oci:${pulled}:latest`);
  const digests = await runOrThrow('sh', ['-c', 'cd blobs/sha256 && sha256sum *'], { cwd: pulled });
  for (const { digest } of [...layout.manifest.blobs, layout.manifest]) {
    const hex = digest.slice('sha256:'.length);
    expect(digests).toContain(`${hex}  ${hex}\n`);
  }
  await Promise.all([home.remove(), scratch.remove()]);
});
