// nginx/registry-accel.conf in a real nginx: the proxy decides, nginx delivers, and what it cannot comes back.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readlink, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pushToBoth } from '../proxy/local-copy.ts';
import { addOdd } from '../proxy/odd-headers.ts';
import { createClientHome } from '../support/client-home.ts';
import { blob, largeBlob, type SmallBlob } from '../support/content.ts';
import { manifest } from '../support/image.ts';
import { createOciLayout } from '../support/oci-layout.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob, putManifest } from '../support/push.ts';
import { blobsDirectory } from '../support/registry.ts';
import { freePort, run, runOrThrow, tempDir, toolPath, waitFor } from '../support/tool.ts';
import { ask, open, type Answer, type Asking } from './client.ts';
import { startNginx, type Nginx } from './site.ts';

const MiB = 1024 * 1024;
const dev = { user: 'dev', password: 'secret' };

async function digestOf(body: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of body as AsyncIterable<Buffer>) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

/** The paths that this process, the proxy, has open. */
async function openFiles(): Promise<string> {
  const links = (await readdir('/proc/self/fd')).map((fd) => readlink(join('/proc/self/fd', fd)).catch(() => ''));
  return (await Promise.all(links)).join();
}

/** The claims of the token in an Authorization header. */
function claimsOf(authorization: unknown): { access: unknown; exp: number; iat: number } {
  const [, payload = ''] = String(authorization).split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as never;
}

describe.each(['accel-proxy', 'accel-file'] as const)('%s', (mode) => {
  let site: ProxySite;
  let nginx: Nginx;
  let port: number;
  let name: string;
  let layer: SmallBlob;
  let count = 0;

  beforeAll(async () => {
    port = await freePort();
    site = await startProxySite({
      env: async ({ secondary }) => {
        await blobsDirectory(secondary.dir);
        return {
          GEO_LISTEN: `127.0.0.1:${port}`,
          GEO_BLOB_DELIVERY: mode,
          ...(mode === 'accel-file' ? { GEO_SECONDARY_ROOT: secondary.dir } : {}),
        };
      },
      users: { [dev.user]: dev.password },
      projects: { [dev.user]: { '**': ['pull', 'push'] } },
    });
    const blobs = await blobsDirectory(site.secondary.dir);
    nginx = await startNginx(port, { registry: site.localRelay.port, blobs });
  });
  beforeEach(() => {
    name = `${mode}/no${(count += 1)}`;
    layer = blob(200_000, name);
  });
  afterEach(async () => {
    site.relay.reset();
    site.localRelay.reset();
    await site.localRelay.up();
    await waitFor(async () => (await site.metric('breaker_open')) === 0, { what: 'the breakers to close' });
  });
  afterAll(async () => {
    await nginx.close();
    await site.close();
  });

  const path = (): string => `/v2/${name}/blobs/${layer.digest}`;
  const bearer = (): Record<string, string> => ({ authorization: `Bearer ${site.pullToken(name)}` });
  const get = (headers: Record<string, string> = {}, asking: Asking = {}): Promise<Answer> =>
    ask('HTTP/2', nginx, path(), { ...asking, headers: { ...bearer(), ...headers } });
  const delivered = (): Promise<number> => site.metric('local_deliveries_total', { by: 'nginx' });
  const missed = (): Promise<number> => site.metric('nginx_misses_total');
  const fromPrimary = (): number => site.relay.count((asked) => asked.path.includes(layer.digest));

  /** The layer in an image of both sites, whose manifest was pulled: its size is known. */
  async function placed(): Promise<void> {
    await pushToBoth(site, name, 'v1', manifest({ layers: [layer] }));
    expect((await site.ask(`${name}/manifests/v1`)).status).toBe(200);
    site.relay.reset();
    site.localRelay.reset();
  }

  /** What was asked of the local registry by nginx, and not by the proxy, which says `Via`. */
  const byNginx = () =>
    site.localRelay.requests.filter((asked) => asked.path === path() && asked.headers.via === undefined);

  const own = () => ({
    'accept-ranges': 'bytes',
    'cache-control': 'private',
    'content-type': 'application/octet-stream',
    'docker-content-digest': layer.digest,
    'docker-distribution-api-version': 'registry/2.0',
    etag: `"${layer.digest}"`,
  });

  function expectOwn({ headers }: Answer, more: Record<string, string> = {}): void {
    const names = Object.keys(headers).filter((each) => !each.startsWith(':') && !['date', 'server'].includes(each));
    expect(Object.fromEntries(names.map((each) => [each, headers[each]]))).toEqual({ ...own(), ...more });
  }

  function expectWhole(answer: Answer): void {
    expect(answer.status).toBe(200);
    expectOwn(answer, { 'content-length': String(layer.size) });
    expect(answer.body.equals(layer.bytes)).toBe(true);
  }

  test('nginx takes the site without a warning', async () => {
    const { code, stderr } = await run(toolPath('nginx'), ['-t', '-c', nginx.configFile, '-e', 'stderr']);
    expect({ code, complaints: stderr.match(/\[\w+\].*/g) }).toEqual({ code: 0, complaints: null });
  });

  test('a local blob is delivered by nginx, with our headers and no others', async () => {
    await placed();
    const before = await delivered();
    expectWhole(await get());
    expect(await delivered()).toBe(before + 1);
    expect(fromPrimary()).toBe(0);
    expect(byNginx().map(({ method }) => method)).toEqual(mode === 'accel-proxy' ? ['GET'] : []);
    if (mode === 'accel-file') expect(site.localRelay.count(({ path: asked }) => asked === path())).toBe(0);
  });

  test('the log has one line for it that says who moved the bytes', async () => {
    await placed();
    site.log.length = 0;
    await get();
    const lines = await waitFor(
      () => {
        const found = site.log.filter((line) => line['msg'] === 'answered' && line['kind'] === 'blob');
        return found.length > 0 && found;
      },
      { what: 'the line' },
    );
    expect(lines).toEqual([expect.objectContaining({ origin: 'local', by: 'nginx', method: 'GET', bytes: 200_000 })]);
  });

  test.each([
    ['bytes=0-0', 0, 0],
    ['bytes=10-19', 10, 19],
    ['bytes=0-', 0, 199_999],
    ['bytes=-30', 199_970, 199_999],
    ['bytes=100000-999999999', 100_000, 199_999],
  ])('the part %s by nginx', async (range, first, last) => {
    await placed();
    const before = await delivered();
    const answer = await get({ range });
    expect(answer.status).toBe(206);
    expectOwn(answer, {
      'content-length': String(last - first + 1),
      'content-range': `bytes ${first}-${last}/${layer.size}`,
    });
    expect(answer.body.equals(layer.bytes.subarray(first, last + 1))).toBe(true);
    expect(await delivered()).toBe(before + 1);
    expect(fromPrimary()).toBe(0);
  });

  test.each(['bytes=200000-', 'bytes=-0', 'bytes=900000-900001'])('416 of ours for %s', async (range) => {
    await placed();
    const answer = await get({ range });
    expect({ status: answer.status, range: answer.headers['content-range'] }).toEqual({
      status: 416,
      range: `bytes */${layer.size}`,
    });
    expect(JSON.parse(answer.body.toString())).toMatchObject({ errors: [{ code: 'RANGE_INVALID' }] });
  });

  test.each(['bytes=0-1,5-6', 'bytes=x', 'items=0-1'])('the whole for %s', async (range) => {
    await placed();
    expectWhole(await get({ range }));
  });

  test('conditions: 304, a part only of the same content, and times mean nothing', async () => {
    await placed();
    const tag = `"${layer.digest}"`;
    const same = await get({ 'if-none-match': tag });
    expect({ status: same.status, etag: same.headers['etag'] }).toEqual({ status: 304, etag: tag });
    expect((await get({ range: 'bytes=0-4', 'if-range': tag })).status).toBe(206);
    expectWhole(await get({ range: 'bytes=0-4', 'if-range': '"another"' }));
    expectWhole(await get({ 'if-none-match': '"another"' }));
    expectWhole(await get({ 'if-modified-since': new Date(Date.now() + 1_000_000).toUTCString() }));
    expectWhole(await get({ 'if-unmodified-since': new Date(0).toUTCString() }));
    expectWhole(await get({ 'if-match': tag }));
  });

  test('HEAD is the proxy’s', async () => {
    await placed();
    const answer = await get({}, { method: 'HEAD' });
    expect(answer.status).toBe(200);
    expectOwn(answer, { 'content-length': String(layer.size) });
    expect(answer.body.length).toBe(0);
  });

  test('a blob that is not here is read through, and the next pull is nginx’s', async () => {
    await pushBlob(site.primaryTarget(name), layer);
    await putManifest(site.primaryTarget(name), 'v1', manifest({ layers: [layer], config: layer }));
    const before = await delivered();
    expectWhole(await get());
    expect(await delivered()).toBe(before);
    await waitFor(
      async () => {
        await get();
        return (await delivered()) > before;
      },
      { what: 'delivery by nginx' },
    );
    expect(site.relay.count((asked) => asked.path === path() && asked.method === 'GET')).toBe(1);
  });

  test('a token for another repository opens nothing, nor does none', async () => {
    await placed();
    const before = await delivered();
    const other = { authorization: `Bearer ${site.pullToken('another/project')}` };
    for (const headers of [other, { authorization: '' }]) {
      expect((await get(headers)).status).toBe(401);
    }
    expect(await delivered()).toBe(before);
  });

  test('a blob of another repository is not given', async () => {
    await placed();
    await pushBlob(site.primaryTarget('another/place'), blob(10, 'else'));
    const { status } = await ask('HTTP/2', nginx, `/v2/another/place/blobs/${layer.digest}`, {
      headers: { authorization: `Bearer ${site.pullToken('another/place')}` },
    });
    expect(status).toBe(404);
  });

  test('a manifest is no blob', async () => {
    const image = manifest({ layers: [layer] });
    await placed();
    const before = await delivered();
    const { status } = await ask('HTTP/2', nginx, `/v2/${name}/blobs/${image.digest}`, { headers: bearer() });
    expect(status).toBe(404);
    expect(await delivered()).toBe(before);
  });

  test('a blob named by sha512 comes whole', async () => {
    layer = blob(200_000, name, 'sha512');
    const { url, repository, token } = site.secondaryTarget(name);
    const headers = { authorization: `Bearer ${token}` };
    const begun = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST', headers });
    const target = `${begun.headers.get('location')}&digest=${encodeURIComponent(layer.digest)}`;
    const put = await fetch(target, { method: 'PUT', headers, body: new Uint8Array(layer.bytes) });
    expect(put.status).toBe(201);
    // The first time its size is not known yet.
    for (const _time of [1, 2]) expectWhole(await get());
    expect(site.relay.count()).toBe(0);
  });

  test.each([
    '/geo-accel/file/sha256/00/x/data',
    '/geo-accel/registry/v2/',
    '/geo-accel/',
    '/%67eo-accel/registry/v2/',
  ])('%s is nothing for clients', async (asked) => {
    site.localRelay.reset();
    for (const headers of [{}, { 'x-geo-accel': 'missed' }, { 'x-accel-redirect': '/geo-accel/registry/v2/' }]) {
      const { status, body } = await ask('HTTP/2', nginx, asked, { headers: { ...bearer(), ...headers } });
      expect({ status, fromNginx: body.includes('nginx') }).toEqual({ status: 404, fromNginx: true });
    }
    expect(site.localRelay.count()).toBe(0);
  });

  test.each(['missed', 'offered', ''])('a client that says “%s” is not heard', async (word) => {
    await placed();
    const [before, misses] = [await delivered(), await missed()];
    expectWhole(await get({ 'x-geo-accel': word, 'x-geo-range': 'bytes=0-1', 'x-geo-authorization': 'Basic x' }));
    expect([await delivered(), await missed()]).toEqual([before + 1, misses]);
  });

  test('who comes past nginx gets the bytes from the proxy, whatever they say', async () => {
    await placed();
    const before = await delivered();
    const answer = await site.ask(`${name}/blobs/${layer.digest}`, { headers: { 'x-geo-accel': 'offered' } });
    expect({ status: answer.status, redirect: answer.headers['x-accel-redirect'] }).toEqual({
      status: 200,
      redirect: undefined,
    });
    expect(await delivered()).toBe(before);
  });

  test('headers of the primary do not lead nginx anywhere', async () => {
    await pushBlob(site.primaryTarget(name), layer);
    addOdd(site.relay);
    expectWhole(await get());
  });

  test('headers of the local registry do not lead nginx anywhere', async () => {
    await placed();
    addOdd(site.localRelay);
    const answer = await get();
    // nginx can leave out what it knows by name, no more.
    delete answer.headers['x-odd'];
    expectWhole(answer);
    expect(fromPrimary()).toBe(0);
  });

  test('a file that is cut short is not given out as the whole, nor is a part of it', async () => {
    await placed();
    await truncate(site.secondary.blobFile(layer.digest), 70_000);
    const part = await get({ range: 'bytes=60000-79999' });
    expect(part.body.equals(layer.bytes.subarray(60_000, 80_000))).toBe(true);
    for (const _time of [1, 2]) expectWhole(await get());
    expect(fromPrimary()).toBeGreaterThan(0);
  });

  test('a file that is cut short before anybody knew its size is not given out as the whole', async () => {
    layer = blob(3 * MiB, name);
    await pushBlob(site.primaryTarget(name), layer);
    await pushBlob(site.secondaryTarget(name), layer);
    await truncate(site.secondary.blobFile(layer.digest), 2 * MiB);
    for (const _time of [1, 2]) expect((await get()).body.equals(layer.bytes)).toBe(true);
  });

  test('a file that is gone is a miss', async () => {
    await placed();
    await rm(site.secondary.blobFile(layer.digest));
    expectWhole(await get());
    expect((await get({ range: 'bytes=5-9' })).body.equals(layer.bytes.subarray(5, 10))).toBe(true);
  });

  test('a blob that was deleted from the repository is a miss', async () => {
    await placed();
    const { url, token } = site.secondaryTarget(name);
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(`${url}${path()}`, { method: 'DELETE', headers })).status).toBe(202);
    expectWhole(await get());
    expect(fromPrimary()).toBeGreaterThan(0);
  });

  test.each(['HTTP/1.1', 'HTTP/2'] as const)(
    '%s: a large blob comes whole, also beside a client that leaves',
    async (protocol) => {
      const large = await largeBlob(48 * MiB, name);
      await pushToBoth(site, name, 'v1', manifest({ layers: [large] }));
      expect((await site.ask(`${name}/manifests/v1`)).status).toBe(200);
      const asked = `/v2/${name}/blobs/${large.digest}`;
      const before = await delivered();
      const leaving = await open(protocol, nginx, asked, { headers: bearer() });
      await once(leaving.body, 'readable');
      const staying = await open(protocol, nginx, asked, { headers: bearer() });
      leaving.body.on('error', () => undefined).destroy();
      expect(await digestOf(staying.body)).toBe(large.digest);
      expect(await delivered()).toBe(before + 2);
      await waitFor(() => site.localRelay.requests.every(({ state }) => state !== 'open'), { what: 'no open request' });
    },
  );

  test('a client that leaves leaves nothing open', async () => {
    const large = await largeBlob(64 * MiB, name);
    await pushBlob(site.secondaryTarget(name), large);
    const asked = `/v2/${name}/blobs/${large.digest}`;
    for (const _time of ['by the proxy', 'by the proxy']) {
      const { status, body } = await open('HTTP/2', nginx, asked, { headers: bearer() });
      expect(status).toBe(200);
      await once(body, 'readable');
      body.destroy();
    }
    const whole = await open('HTTP/2', nginx, asked, { headers: bearer() });
    expect(await digestOf(whole.body)).toBe(large.digest);
    const [, hex = ''] = large.digest.split(':');
    await waitFor(async () => !(await openFiles()).includes(hex), { what: 'the file to be closed' });
    await waitFor(() => site.localRelay.requests.every(({ state }) => state !== 'open'), { what: 'no open request' });
  });

  test('skopeo pulls through nginx', async () => {
    const [home, scratch] = [await createClientHome(), await tempDir()];
    const layout = await createOciLayout({ dir: join(scratch.path, 'layout') });
    const creds = `${dev.user}:${dev.password}`;
    for (const { port } of [site.primary, site.secondary]) {
      const push = ['--dest-tls-verify=false', '--dest-creds', creds];
      await home.runOrThrow('skopeo', 'copy', ...push, layout.reference, `docker://127.0.0.1:${port}/${name}:v1`);
    }
    const certs = join(scratch.path, 'certs');
    await mkdir(certs);
    await copyFile(nginx.tls.certFile, join(certs, 'ca.crt'));
    const before = await delivered();
    const pulled = join(scratch.path, 'pulled');
    const pull = ['--src-cert-dir', certs, '--src-creds', creds];
    const source = `docker://127.0.0.1:${nginx.httpsPort}/${name}:v1`;
    await home.runOrThrow('skopeo', 'copy', ...pull, source, `oci:${pulled}:latest`);
    const digests = await runOrThrow('sh', ['-c', 'cd blobs/sha256 && sha256sum *'], { cwd: pulled });
    for (const { digest } of [...layout.manifest.blobs, layout.manifest]) {
      const hex = digest.slice('sha256:'.length);
      expect(digests).toContain(`${hex}  ${hex}\n`);
    }
    expect(await delivered()).toBeGreaterThan(before);
    await Promise.all([home.remove(), scratch.remove()]);
  });

  if (mode === 'accel-proxy') {
    test('the token that the registry sees pulls from that repository alone, for a minute, and is not the client’s', async () => {
      await placed();
      const answer = await get({ cookie: 'a=b', 'x-forwarded-for': '192.0.2.1', 'x-secret': 'of the client' });
      const [{ headers } = { headers: {} as Record<string, unknown> }] = byNginx();
      expect(Object.keys(headers).sort()).toEqual(['accept-encoding', 'authorization', 'host', 'user-agent']);
      const { access, exp, iat } = claimsOf(headers['authorization']);
      expect({ access, life: exp - iat }).toEqual({
        access: [{ type: 'repository', name, actions: ['pull'] }],
        life: 60,
      });
      expect(headers['authorization']).not.toBe(bearer()['authorization']);
      expect(JSON.stringify(answer.headers)).not.toContain(String(headers['authorization']).split(' ')[1]);
    });

    test.each([301, 307, 400, 401, 403, 404, 416, 429, 500, 502, 503, 504])(
      'a %i of the registry inside is a miss, with its range',
      async (status) => {
        await placed();
        const misses = await missed();
        site.localRelay.rules.push({
          match: (asked) => asked.path === path() && asked.headers.via === undefined,
          answer: {
            status,
            headers: {
              'www-authenticate': 'Bearer realm="evil"',
              'content-range': 'bytes */1',
              etag: '"x"',
              'x-odd': '1',
            },
            body: 'nonsense',
          },
        });
        // Of a 401 nginx (1.22) keeps the challenge, whatever comes after it.
        const [whole, part] = [await get(), await get({ range: 'bytes=7-9' })];
        for (const { headers } of status === 401 ? [whole, part] : []) delete headers['www-authenticate'];
        expectWhole(whole);
        expect(part.status).toBe(206);
        expectOwn(part, { 'content-length': '3', 'content-range': `bytes 7-9/${layer.size}` });
        expect(part.body.equals(layer.bytes.subarray(7, 10))).toBe(true);
        expect(await missed()).toBe(misses + 2);
      },
    );

    test('a redirect of the registry to its storage is passed on by the proxy', async () => {
      await placed();
      const location = 'https://storage.example.com/blob?signature=x';
      site.localRelay.rules.push({
        match: (asked) => asked.path === path(),
        answer: { status: 307, headers: { location } },
      });
      const before = await delivered();
      const { status, headers } = await get();
      expect({ status, location: headers['location'] }).toEqual({ status: 307, location });
      expect(await delivered()).toBe(before);
    });

    test('the registry is down: the primary’s', async () => {
      await placed();
      await site.localRelay.down();
      expectWhole(await get());
      expect((await get({ range: 'bytes=-3' })).body.equals(layer.bytes.subarray(-3))).toBe(true);
    });

    test('the registry breaks off: the client does not take it for the whole', async () => {
      await placed();
      site.localRelay.rules.push({
        match: (asked) => asked.path === path() && asked.method === 'GET',
        cutAfter: 100_000,
        times: 1,
      });
      await expect(get()).rejects.toThrow();
      // What a client that resumes asks for then.
      const rest = await get({ range: 'bytes=100000-' });
      expect(rest.body.equals(layer.bytes.subarray(100_000))).toBe(true);
    });
  } else {
    test('the registry is down: nginx delivers as ever', async () => {
      await placed();
      await site.localRelay.down();
      const before = await delivered();
      expectWhole(await get());
      expect(await delivered()).toBe(before + 1);
      expect(fromPrimary()).toBe(0);
    });

    test('files that nginx does not find come from the proxy, and the primary is not asked', async () => {
      await placed();
      const elsewhere = await tempDir();
      const blind = await startNginx(port, { registry: site.localRelay.port, blobs: elsewhere.path });
      const misses = await missed();
      expectWhole(await ask('HTTP/2', blind, path(), { headers: bearer() }));
      const part = await ask('HTTP/1.1', blind, path(), { headers: { ...bearer(), range: 'bytes=7-9' } });
      expect(part.body.equals(layer.bytes.subarray(7, 10))).toBe(true);
      expect(await missed()).toBe(misses + 2);
      expect(fromPrimary()).toBe(0);
      await blind.close();
      await elsewhere.remove();
    });
  }
});
