// Two sites behind the one URL of nginx/unified-url.conf, with TLS and a realm with TLS: for clients that are tried by a script.
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { request as ask } from 'node:http';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { startNginx } from '../test/nginx/site.ts';
import { createSiteKeys, type SiteKeys } from '../test/support/keys.ts';
import { startProxySite, type ProxySite } from '../test/support/proxy.ts';
import { freePort } from '../test/support/tool.ts';

/** Who may do everything. */
export const dev = { user: 'dev', password: 'secret' };

export interface OneUrl {
  readonly site: ProxySite;
  /** The shared hostname, with its port. */
  readonly host: string;
  /** The authorities of nginx and of the realm. */
  readonly caFile: string;
  close(): Promise<void>;
}

/** TLS before the token service: newer clients send no credentials to a realm of http where the registry is https. */
async function startTls(port: number, target: number, keys: SiteKeys): Promise<Server> {
  const pair = { key: await readFile(keys.keyFile), cert: keys.certPem };
  const server = createServer(pair, (request, response) => {
    const { method, url, headers } = request;
    const onward = ask({ host: '127.0.0.1', port: target, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      pipeline(answer, response, () => undefined);
    });
    onward.once('error', () => response.destroy());
    pipeline(request, onward, () => undefined);
  });
  await once(server.listen(port, '127.0.0.1'), 'listening');
  return server;
}

const EVENTS = 'a secret of the primary';

/** `realm`: the host that the realm is named by; `program`: the registry on both sites, `docker-registry` when absent. */
interface OneUrlOptions {
  readonly realm: string;
  readonly program?: string;
}

/** Starts it all, with replication and notifications. */
export async function startOneUrl({ realm: realmHost, program }: OneUrlOptions): Promise<OneUrl> {
  const [port, tokens, realm] = [await freePort(), await freePort(), await freePort()];
  const keys = await createSiteKeys({ hosts: ['127.0.0.1', 'localhost'] });
  const tls = await startTls(realm, tokens, keys);
  const url = `http://127.0.0.1:${port}/api/v4/container_registry_event/events`;
  const site = await startProxySite({
    env: { GEO_LISTEN: `127.0.0.1:${port}`, GEO_REPLICATION: 'on', GEO_EVENTS_TOKEN: EVENTS },
    x5c: true,
    primary: { program, deleteEnabled: true, notifications: { url, headers: { Authorization: [EVENTS] } } },
    secondary: { program, deleteEnabled: true },
    users: { [dev.user]: dev.password },
    projects: { [dev.user]: { '**': ['pull', 'push', 'delete'] } },
    port: tokens,
    realm: `https://${realmHost}:${realm}/jwt/auth`,
  });
  const nginx = await startNginx(port, { primary: Number(new URL(site.primary.url).port) });
  const caFile = join(keys.dir, 'authorities.pem');
  await writeFile(caFile, `${keys.certPem}\n${nginx.tls.certPem}`);
  return {
    site,
    caFile,
    host: `127.0.0.1:${nginx.httpsPort}`,
    async close() {
      await Promise.all([nginx.close(), site.close()]);
      tls.closeAllConnections();
      tls.close();
      await keys.remove();
    },
  };
}
