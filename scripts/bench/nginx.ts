// nginx as a contender: the sites of nginx/, without TLS, which none of the others has here.
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { startProcess, waitUntilReady } from '../../test/support/process.ts';
import { freePort, tempDir, toolPath } from '../../test/support/tool.ts';

/** A running nginx. */
export interface Nginx {
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

/** What stands behind nginx: the port of the proxy, or of what takes its place; the local registry and its storage. */
export interface Behind {
  readonly upstream: number;
  readonly registry: number;
  readonly root: string;
}

const sites = resolve(import.meta.dirname, '../../nginx');

/** Whether this version of the program has a site of that name. */
export function hasSite(name: string): boolean {
  return existsSync(join(sites, name));
}

async function siteFor(name: string, port: number, unused: number, behind: Behind): Promise<string> {
  const text = await readFile(join(sites, name), 'utf8');
  return text
    .replaceAll(/^ *ssl_.*\n/gm, '')
    .replaceAll(/^ *listen \[::\].*\n/gm, '')
    .replaceAll(/listen 443 .*;/g, `listen 127.0.0.1:${port};`)
    .replaceAll('listen 80;', `listen 127.0.0.1:${unused};`)
    .replaceAll('server 127.0.0.1:5080;', `server 127.0.0.1:${behind.upstream};`)
    .replaceAll('server 127.0.0.1:5000;', `server 127.0.0.1:${behind.registry};`)
    .replaceAll(/alias .*\/docker\/registry\/v2\/blobs\/;/g, `alias ${behind.root}/docker/registry/v2/blobs/;`);
}

function mainConfig(dir: string): string {
  const temps = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${dir}/${name};`);
  // The workers have to read the registry's files, which are this user's.
  return `
    user root;
    daemon off;
    worker_processes auto;
    pid ${dir}/nginx.pid;
    error_log stderr warn;
    events { worker_connections 1024; }
    http {
      access_log off;
      ${temps.join('\n')}
      include ${dir}/site.conf;
    }`;
}

/** Starts nginx with a site of `nginx/` on a port of its own. */
export async function startNginx(name: string, behind: Behind): Promise<Nginx> {
  const scratch = await tempDir();
  const dir = scratch.path;
  const [port, unused] = [await freePort(), await freePort()];
  await mkdir(join(dir, 'proxy'));
  await writeFile(join(dir, 'site.conf'), await siteFor(name, port, unused, behind));
  await writeFile(join(dir, 'nginx.conf'), mainConfig(dir));
  const server = startProcess(toolPath('nginx'), ['-c', join(dir, 'nginx.conf'), '-e', 'stderr']);
  const answers = async (): Promise<boolean> => (await fetch(`http://127.0.0.1:${port}/`)).status === 404;
  await waitUntilReady(server, answers, `nginx with ${name}`);
  return {
    pid: server.pid,
    port,
    async stop() {
      await server.stop('SIGQUIT');
      await scratch.remove();
    },
  };
}
