// deploy/omnibus/gitlab.rb inside a server block as Omnibus writes it, with its cache on: what it takes from the local
// registry, and what it leaves there.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { image } from '../support/image.ts';
import { startProcess, waitUntilReady, type ServerProcess } from '../support/process.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { freePort, run, tempDir, toolPath, type TempDir } from '../support/tool.ts';
import { mainConfig } from './site.ts';

const read = (path: string): Promise<string> =>
  readFile(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');

/** What stands between the markers of Ruby's text, which is nginx's. */
async function snippet(): Promise<string> {
  const [, text] = /<<~NGINX\n([^]*)\nNGINX\n/.exec(await read('deploy/omnibus/gitlab.rb')) ?? [];
  return text!;
}

/** The registry's server of the bundled nginx, in plain HTTP; `custom` is where gitlab.rb's text goes. */
function bundled(dir: string, { port, registry, custom }: { port: number; registry: number; custom: string }): string {
  const http = `
      proxy_cache_path ${dir}/cache keys_zone=gitlab:10m max_size=1g levels=1:2;
      proxy_cache gitlab;
      # Omnibus gives no times; a site may.
      proxy_cache_valid any 1h;
      server {
        listen 127.0.0.1:${port};
        server_tokens off;
        client_max_body_size 0;
        chunked_transfer_encoding on;
        ${custom}
        location / {
          proxy_set_header Host $http_host;
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          proxy_set_header X-Forwarded-Proto $scheme;
          proxy_pass http://127.0.0.1:${registry};
          proxy_read_timeout 900;
          proxy_cache off;
          proxy_buffering off;
          proxy_request_buffering off;
          proxy_http_version 1.1;
        }
      }`;
  return mainConfig(dir, http);
}

let site: ProxySite;
let scratch: TempDir;
let nginx: ServerProcess;
let url: string;
let configFile: string;

beforeAll(async () => {
  scratch = await tempDir();
  site = await startProxySite({ env: { GEO_EVENTS_TOKEN: 'a secret of the primary', GEO_REPLICATION: 'on' } });
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const text = await snippet();
  expect(text).toContain('proxy_pass http://127.0.0.1:5080;');
  const custom = text.replace('http://127.0.0.1:5080', site.proxy.url);
  const registry = Number(new URL(site.secondary.url).port);
  configFile = join(scratch.path, 'nginx.conf');
  await mkdir(join(scratch.path, 'cache'));
  await writeFile(configFile, bundled(scratch.path, { port, registry, custom }));
  nginx = startProcess(toolPath('nginx'), ['-c', configFile, '-e', 'stderr']);
  await waitUntilReady(nginx, async () => (await fetch(`${url}/`)).status > 0, 'nginx');
});
afterAll(async () => {
  await nginx?.stop();
  await Promise.all([site?.close(), scratch?.remove()]);
});

const withToken = (repository: string): Record<string, string> => ({
  authorization: `Bearer ${site.pullToken(repository)}`,
});

test('nginx takes it without a warning', async () => {
  const { code, stderr } = await run(toolPath('nginx'), ['-t', '-c', configFile, '-e', 'stderr']);
  expect({ code, complaints: stderr.match(/\[\w+\].*/g) }).toEqual({ code: 0, complaints: null });
});

test('an image that only the primary has is pulled, and nginx keeps it for nobody', async () => {
  const pushed = image('omnibus');
  await pushImage(site.primaryTarget('group/app'), 'v1', pushed);
  const paths = [`manifests/v1`, `blobs/${pushed.blobs[0]!.digest}`];
  for (const path of paths) {
    const answer = await fetch(`${url}/v2/group/app/${path}`, { headers: withToken('group/app') });
    expect(answer.status).toBe(200);
    expect((await answer.arrayBuffer()).byteLength).toBeGreaterThan(0);
    expect((await fetch(`${url}/v2/group/app/${path}`)).status).toBe(401);
  }
  const moved = image('omnibus moved');
  await pushImage(site.primaryTarget('group/app'), 'v1', moved);
  const again = await fetch(`${url}/v2/group/app/manifests/v1`, { headers: withToken('group/app') });
  expect(again.headers.get('docker-content-digest')).toBe(moved.digest);
});

test('a push is refused with the place to push to', async () => {
  const answer = await fetch(`${url}/v2/group/app/blobs/uploads/`, { method: 'POST', headers: withToken('group/app') });
  expect(answer.status).toBe(405);
  expect(await answer.text()).toContain('this registry is a read-only copy; push to ');
});

function notify(secret: string): Promise<Response> {
  return fetch(`${url}/api/v4/container_registry_event/events`, {
    method: 'POST',
    headers: { authorization: secret, 'content-type': 'application/vnd.docker.distribution.events.v2+json' },
    body: '{"events":[]}',
  });
}

test('notifications reach the proxy, with their secret', async () => {
  expect((await notify('a secret of the primary')).status).toBe(200);
  expect((await notify('another')).status).toBe(401);
});

test('whatever else is asked goes on to the local registry', async () => {
  const own = await fetch(`${site.secondary.url}/`);
  expect((await fetch(`${url}/`)).status).toBe(own.status);
  expect((await fetch(`${url}/v3/nothing`)).status).toBe(404);
});

test('the block of docs/operating.md is this one', async () => {
  const block = (await read('deploy/omnibus/gitlab.rb')).replaceAll(/^#.*\n/gm, '');
  expect(await read('docs/operating.md')).toContain(`\`\`\`ruby\n${block}\`\`\`\n`);
});
