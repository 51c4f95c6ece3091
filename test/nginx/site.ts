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

/** What unified-url.conf needs besides. */
export interface UnifiedSite {
  /** The port of the primary registry on 127.0.0.1, and the host that it gets and answers with. */
  readonly primary: number;
  readonly primaryHost?: string;
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

function fileOf(special: AccelSite | UnifiedSite | undefined): string {
  if (special === undefined) return 'registry.conf';
  return 'primary' in special ? 'unified-url.conf' : 'registry-accel.conf';
}

async function siteFor(ports: Ports, tls: SiteKeys, special: AccelSite | UnifiedSite | undefined): Promise<string> {
  const file = join(sites, fileOf(special));
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
  if (special && 'primary' in special) {
    const host = special.primaryHost ?? `127.0.0.1:${special.primary}`;
    substitutions.push(
      ['server registry.primary.example.com:443;', `server 127.0.0.1:${special.primary};`],
      ['default registry.primary.example.com;', `default ${host};`],
      [String.raw`registry\.primary\.example\.com(?::`, `${host.split(':')[0]?.replaceAll('.', String.raw`\.`)}(?::`],
      ['https://geo_primary', 'http://geo_primary'],
    );
  } else if (special) {
    substitutions.push(
      ['server 127.0.0.1:5000;', `server 127.0.0.1:${special.registry};`],
      ['/var/opt/gitlab/gitlab-rails/shared/registry/docker/registry/v2/blobs/', `${special.blobs}/`],
    );
  }
  return substitutions.reduce((text, [wanted, by]) => replaced(text, wanted, by), await readFile(file, 'utf8'));
}

/** nginx's main configuration with everything that it writes in `dir`, and `http` in its http context. */
export function mainConfig(dir: string, http: string): string {
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
      ${http}
    }`;
}

/** Starts nginx in front of the proxy on port `upstream` of 127.0.0.1: with registry.conf, or the file for `special`. */
export async function startNginx(upstream: number, special?: AccelSite | UnifiedSite): Promise<Nginx> {
  const scratch = await tempDir();
  const dir = scratch.path;
  const tls = await createSiteKeys({ hosts: ['127.0.0.1', hostname] });
  const [https, http] = [await freePort(), await freePort()];
  const configFile = join(dir, 'nginx.conf');
  const temps = ['client-body', 'proxy'].map((name) => join(dir, name));
  await Promise.all(temps.map((path) => mkdir(path)));
  await writeFile(join(dir, 'registry.conf'), await siteFor({ https, http, upstream }, tls, special));
  await writeFile(configFile, mainConfig(dir, `include ${dir}/registry.conf;`));
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
