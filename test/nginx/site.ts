// A real nginx with one of the sites in nginx/: only ports, certificate, upstreams and paths are other ones.
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { startProcess, waitUntilReady } from '../support/process.ts';
import { createSiteKeys, type SiteKeys } from '../support/keys.ts';
import { freePort, tempDir, toolPath } from '../support/tool.ts';

export interface Nginx {
  readonly tls: SiteKeys;
  readonly httpsPort: number;
  readonly httpPort: number;
  /** The main configuration file, for `nginx -t`. */
  readonly configFile: string;
  /** What nginx logged as a warning or worse. */
  log(): string;
  /** A mark that changes whenever a temporary file of a request or an answer is made or removed. */
  bufferedOnDisk(): Promise<string>;
  close(): Promise<void>;
}

/** The hostname in the file. */
export const hostname = 'registry.secondary.example.com';

/** What registry-accel.conf needs besides. */
export interface AccelSite {
  /** The port of the local registry on 127.0.0.1. */
  readonly registry: number;
  /** The directory of the local registry's blobs. */
  readonly blobs: string;
}

const sites = resolve(import.meta.dirname, '../../nginx');
const otherTemps = ['fastcgi', 'uwsgi', 'scgi'];

/** Replaces what must be there: a file that was edited so that a test would run without it fails at once. */
function replaced(text: string, wanted: string, by: string): string {
  if (!text.includes(wanted)) throw new Error(`the site holds no ${JSON.stringify(wanted)}`);
  return text.replaceAll(wanted, by);
}

interface Ports {
  readonly https: number;
  readonly http: number;
  readonly upstream: number;
}

async function siteFor(ports: Ports, tls: SiteKeys, accel: AccelSite | undefined): Promise<string> {
  const file = join(sites, accel ? 'registry-accel.conf' : 'registry.conf');
  const substitutions: [wanted: string, by: string][] = [
    ['listen 443 ssl', `listen 127.0.0.1:${ports.https} ssl`],
    // One address is enough, and a machine may have no IPv6.
    ['    listen [::]:443 ssl http2;\n', ''],
    ['listen 80;', `listen 127.0.0.1:${ports.http};`],
    ['    listen [::]:80;\n', ''],
    ['server 127.0.0.1:5080;', `server 127.0.0.1:${ports.upstream};`],
    [`/etc/nginx/ssl/${hostname}.crt`, tls.certFile],
    [`/etc/nginx/ssl/${hostname}.key`, tls.keyFile],
  ];
  if (accel) {
    substitutions.push(
      ['server 127.0.0.1:5000;', `server 127.0.0.1:${accel.registry};`],
      ['/var/opt/gitlab/gitlab-rails/shared/registry/docker/registry/v2/blobs/', `${accel.blobs}/`],
    );
  }
  return substitutions.reduce((text, [wanted, by]) => replaced(text, wanted, by), await readFile(file, 'utf8'));
}

function mainConfig(dir: string): string {
  const temps = otherTemps.map((name) => `${name}_temp_path ${dir}/${name};`).join(' ');
  return `
    daemon off;
    master_process off;
    pid ${dir}/nginx.pid;
    error_log stderr warn;
    events {}
    http {
      access_log off;
      client_body_temp_path ${dir}/client-body;
      proxy_temp_path ${dir}/proxy;
      ${temps}
      include ${dir}/registry.conf;
    }`;
}

/** Starts nginx in front of what listens on `upstream` of 127.0.0.1: with registry.conf, or registry-accel.conf. */
export async function startNginx(upstream: number, accel?: AccelSite): Promise<Nginx> {
  const scratch = await tempDir();
  const dir = scratch.path;
  const tls = await createSiteKeys({ hosts: ['127.0.0.1', hostname] });
  const [https, http] = [await freePort(), await freePort()];
  const configFile = join(dir, 'nginx.conf');
  const temps = ['client-body', 'proxy'].map((name) => join(dir, name));
  await Promise.all(temps.map((path) => mkdir(path)));
  await writeFile(join(dir, 'registry.conf'), await siteFor({ https, http, upstream }, tls, accel));
  await writeFile(configFile, mainConfig(dir));
  const server = startProcess(toolPath('nginx'), ['-c', configFile, '-e', 'stderr']);
  const answers = async (): Promise<boolean> => {
    const { status } = await fetch(`http://127.0.0.1:${http}/`, { redirect: 'manual' });
    return status === 301;
  };
  await waitUntilReady(server, answers, 'nginx');
  return {
    tls,
    httpsPort: https,
    httpPort: http,
    configFile,
    log: server.log,
    // A file that comes and goes changes its directory's time.
    bufferedOnDisk: async () =>
      (await Promise.all(temps.map((path) => stat(path, { bigint: true })))).map(({ mtimeNs }) => mtimeNs).join(),
    async close() {
      await server.stop();
      await Promise.all([scratch.remove(), tls.remove()]);
    },
  };
}
