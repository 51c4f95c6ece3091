// The ways in which a local blob can be delivered, each as a contender: who has to run for it, and where it is asked.
import type { Sites } from '../../test/support/sites.ts';
import { tempDir } from '../../test/support/tool.ts';
import { environment } from './environment.ts';
import { hasSite, startNginx, type Nginx } from './nginx.ts';
import { startProxyProcess, type ProxyProcess } from './proxy-process.ts';

/** A way that runs. */
export interface Delivery {
  readonly port: number;
  /** Processes whose time a delivery costs. */
  readonly pids: readonly number[];
  /** The proxy, where one takes part, and whether it is to move no bytes. */
  readonly proxy?: ProxyProcess;
  readonly byNginx: boolean;
  stop(): Promise<void>;
}

/** A way that this version of the program does not have, and why that is known. */
export interface Absent {
  readonly absent: string;
}

const ACCEL_SITE = 'registry-accel.conf';

/** The registry itself. */
export function registryItself({ secondary }: Sites): Delivery {
  return { port: secondary.port, pids: [secondary.pid], byNginx: false, stop: async () => undefined };
}

/** nginx and nothing else before the registry, set up as the site of the proxy is. */
export async function plainNginx({ secondary }: Sites): Promise<Delivery> {
  const { port, pid, dir } = secondary;
  const nginx = await startNginx('registry.conf', { upstream: port, registry: port, root: dir });
  return { port: nginx.port, pids: [nginx.pid, pid], byNginx: false, stop: nginx.stop };
}

async function startWith(bin: string, sites: Sites, settings: Record<string, string>): Promise<ProxyProcess | Absent> {
  const data = await tempDir();
  const named = Object.keys(settings).find((name) => name.startsWith('GEO_'))!;
  const env = environment(sites, { GEO_REPLICATION: 'off', GEO_DATA_DIR: data.path, ...settings });
  let proxy: ProxyProcess;
  try {
    proxy = await startProxyProcess(bin, env);
  } catch (error) {
    const { message } = error as Error;
    if (named && message.includes(named)) return { absent: message.slice(message.indexOf(named), 200) };
    throw error;
  }
  // A variable of a later version is accepted with a warning, and does nothing.
  const isIgnored = proxy
    .log()
    .split('\n')
    .some((line) => line.includes('"level":40') && line.includes(named));
  const stop = async (): Promise<void> => {
    await proxy.stop();
    await data.remove();
  };
  if (!named || !isIgnored) return { ...proxy, stop };
  await stop();
  return { absent: `${named} is not in this version` };
}

/** The proxy by itself, with settings that decide how it gets at the bytes. */
export async function streamed(
  bin: string,
  sites: Sites,
  settings: Record<string, string>,
): Promise<Delivery | Absent> {
  const proxy = await startWith(bin, sites, settings);
  if ('absent' in proxy) return proxy;
  return { port: proxy.port, pids: [proxy.pid, sites.secondary.pid], proxy, byNginx: false, stop: proxy.stop };
}

/** The proxy behind nginx, which moves the bytes. */
export async function accelerated(
  bin: string,
  sites: Sites,
  settings: Record<string, string>,
): Promise<Delivery | Absent> {
  if (!hasSite(ACCEL_SITE)) return { absent: `nginx/${ACCEL_SITE} is not in this version` };
  const proxy = await startWith(bin, sites, settings);
  if ('absent' in proxy) return proxy;
  const { port, pid, dir } = sites.secondary;
  const nginx: Nginx = await startNginx(ACCEL_SITE, { upstream: proxy.port, registry: port, root: dir });
  return {
    port: nginx.port,
    pids: [proxy.pid, nginx.pid, pid],
    proxy,
    byNginx: true,
    async stop() {
      await nginx.stop();
      await proxy.stop();
    },
  };
}
