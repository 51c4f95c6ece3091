// The Helm chart's nginx of one URL, as its values render it: TLS has ended at the ingress.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { request } from 'undici';
import { image } from '../support/image.ts';
import { startProcess, waitUntilReady, type ServerProcess } from '../support/process.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { repositoryAccess } from '../support/token.ts';
import { freePort, tempDir, toolPath, type TempDir } from '../support/tool.ts';
import { mainConfig } from './site.ts';

const file = fileURLToPath(new URL('../../deploy/helm/geo-registry-proxy/files/one-url.conf', import.meta.url));
const shared = 'registry.example.com';

let site: ProxySite;
let scratch: TempDir;
let nginx: ServerProcess;
let url: string;

/** As Helm renders it for a primary. */
function rendered(text: string, primary: URL): string {
  const values: Readonly<Record<string, string>> = {
    'include "proxy.primaryAddress" .': primary.host,
    'include "proxy.primaryHost" .': primary.host,
    'include "proxy.primaryName" . | replace "." "\\\\."': primary.hostname.replaceAll('.', '\\.'),
    'include "proxy.primaryUpstream" .': 'http://geo_primary',
    'include "proxy.primaryAuthorities" .': '/dev/null',
  };
  return text.replaceAll(/\{\{ (.*?) \}\}/g, (_whole, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`nothing renders ${name}`);
    return value;
  });
}

beforeAll(async () => {
  const [port, behind] = [await freePort(), await freePort()];
  site = await startProxySite({ env: { GEO_LISTEN: `127.0.0.1:${behind}` }, primary: { deleteEnabled: true } });
  scratch = await tempDir();
  const text = rendered(await readFile(file, 'utf8'), new URL(site.relay.url))
    .replace('listen 8080;', `listen 127.0.0.1:${port};`)
    .replace('server 127.0.0.1:5080;', `server 127.0.0.1:${behind};`)
    // Nothing is verified without TLS, and there is no file of authorities to read.
    .replaceAll(/ *proxy_ssl_trusted_certificate [^\n]*\n| *proxy_ssl_verify [^\n]*\n/g, '');
  const configFile = join(scratch.path, 'nginx.conf');
  await writeFile(configFile, mainConfig(scratch.path, text));
  nginx = startProcess(toolPath('nginx'), ['-c', configFile, '-e', 'stderr']);
  url = `http://127.0.0.1:${port}`;
  await waitUntilReady(nginx, async () => (await fetch(`${url}/`)).status === 404, 'nginx');
});
afterAll(async () => {
  await nginx.stop();
  await site.close();
  await scratch.remove();
});

async function ask(method: 'GET' | 'HEAD' | 'POST', path: string, forwarded = 'https') {
  const token = site.tokenFor([repositoryAccess('group/app', ...(method === 'POST' ? ['pull', 'push'] : ['pull']))]);
  const { statusCode, headers, body } = await request(`${url}/v2/group/app/${path}`, {
    method,
    headers: {
      host: shared,
      authorization: `Bearer ${token}`,
      'x-forwarded-proto': forwarded,
      accept: 'application/vnd.oci.image.manifest.v1+json',
    },
  });
  await body.dump();
  return { status: statusCode, headers };
}

test.each(['https', 'http'])(
  'an upload goes to the primary, and stays on the shared hostname by %s',
  async (scheme) => {
    const { status, headers } = await ask('POST', 'blobs/uploads/', scheme);
    expect(status).toBe(202);
    expect(headers['location']).toMatch(
      new RegExp(`^${scheme}://registry\\.example\\.com/v2/group/app/blobs/uploads/`),
    );
  },
);

test('a pull comes by the proxy; HEAD from the primary, and by the proxy while that is down', async () => {
  const pushed = image('one url in the chart');
  await pushImage(site.primaryTarget('group/app'), 'v1', pushed);
  expect(await ask('GET', 'manifests/v1')).toMatchObject({
    status: 200,
    headers: { 'docker-content-digest': pushed.digest, etag: expect.any(String) },
  });
  const before = site.log.length;
  expect((await ask('HEAD', 'manifests/v1')).status).toBe(200);
  expect(site.log.slice(before).filter(({ method }) => method === 'HEAD')).toEqual([]);
  await site.relay.down();
  expect((await ask('HEAD', `manifests/${pushed.digest}`)).status).toBe(200);
  expect(site.log.slice(before).filter(({ method }) => method === 'HEAD')).toHaveLength(1);
  await site.relay.up();
});
