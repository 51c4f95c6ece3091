// A proxy for one command: where no server runs, what only a server can do is done by this process.
import { pino } from 'pino';
import type { Config } from '../config/config.ts';
import { createDirectory } from '../config/directory.ts';
import { startProxy } from '../main.ts';
import { openServer, type Site } from './site.ts';

const ANY_PORT = { host: '127.0.0.1', port: 0 };

/** Starts the proxy on free ports of loopback, without a log; `close` ends it in order. */
export async function startAlone(config: Config): Promise<Site> {
  createDirectory(config.dataDir);
  const alone = { ...config, listen: ANY_PORT, adminListen: ANY_PORT };
  const proxy = await startProxy(alone, { logger: pino({ level: 'silent' }) });
  const { hostname: host, port } = new URL(proxy.adminUrl);
  const site = await openServer({ ...config, adminListen: { host, port: Number(port) } });
  return {
    administration: site.administration,
    isServed: false,
    live: site.live,
    async close() {
      await site.close();
      await proxy.close();
    },
  };
}
