// The proxy itself, in the test's process, before two real sites; and plain HTTP requests to it.
import { pino } from 'pino';
import { Agent, request, type Dispatcher } from 'undici';
import { loadConfig } from '../../src/config/config.ts';
import { startProxy, type Proxy, type ProxyKnobs } from '../../src/main.ts';
import { startSites, type Sites, type SitesOptions } from './sites.ts';
import { waitFor } from './tool.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
  /** The code of the first error of an OCI error body. */
  readonly code: string | undefined;
}

export interface Asking {
  readonly method?: Dispatcher.HttpMethod;
  readonly token?: string | undefined;
  readonly headers?: Record<string, string>;
}

export interface ProxySite extends Sites {
  readonly proxy: Proxy;
  /** Lines of the log, parsed. */
  readonly log: Record<string, unknown>[];
  /** Asks the proxy; `path` after `/v2/`; with a pull token of the path's repository unless another is given. */
  ask(path: string, asking?: Asking): Promise<Answer>;
  /** As `ask`, but the body is left to the caller. */
  open(path: string, asking?: Asking): Promise<Dispatcher.ResponseData>;
  /** The value of a metric, summed over the labels that are not given. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
  /** Starts the proxy again with the same data and other settings. */
  restart(env?: Record<string, string>): Promise<void>;
}

export interface ProxySiteOptions extends SitesOptions {
  /** Settings of the proxy; a function where they depend on what was started. */
  readonly env?: Record<string, string> | ((sites: Sites) => Promise<Record<string, string>>);
  readonly knobs?: ProxyKnobs;
}

function flat(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value ?? ''].flat().join(', ')]));
}

function codeOf(body: Buffer): string | undefined {
  try {
    return (JSON.parse(body.toString()) as { errors?: { code?: string }[] }).errors?.[0]?.code;
  } catch {
    return undefined;
  }
}

function repositoryOf(path: string): string {
  return path.replace(/\/(?:manifests|blobs|tags|referrers)\/.*$/, '');
}

const REPORT = /^the (?:primary|secondary) registry (?:answers|refuses our key|cannot be reached)$|is no registry$/;

/** At its start the program asks each registry what it is, and says so: a test counts what comes after. */
async function untilReported(log: readonly Record<string, unknown>[], before: number): Promise<void> {
  const isTold = (): boolean => log.slice(before).filter(({ msg }) => REPORT.test(String(msg))).length >= 2;
  // A registry that hangs in a test is not waited for to its end.
  await waitFor(isTold, { what: 'the report of the start', timeout: 3_000 }).catch(() => undefined);
}

// Tests of pulls count requests: nothing but the pulls may ask the registries. Tests of replication switch it on.
const quiet = { GEO_REPLICATION: 'off' };

/** Two sites and a proxy in front of the secondary one; its log is collected, not printed. */
export async function startProxySite(options: ProxySiteOptions = {}): Promise<ProxySite> {
  const sites = await startSites(options);
  const log: Record<string, unknown>[] = [];
  const logger = pino(
    { level: 'debug' },
    { write: (line) => void log.push(JSON.parse(line) as Record<string, unknown>) },
  );
  const own = typeof options.env === 'function' ? await options.env(sites) : options.env;
  const start = async (env: Record<string, string> = {}): Promise<Proxy> => {
    const before = log.length;
    const config = loadConfig({ ...sites.env(), ...quiet, ...own, ...env });
    const started = await startProxy(config, { logger, ...options.knobs });
    await untilReported(log, before);
    // The secondary is asked twice: what it sends clients to, and whether it takes our key.
    for (const relay of [sites.relay, sites.localRelay, sites.localRelay]) relay.forgetLast('/v2/');
    return started;
  };
  let proxy = await start();
  const agent = new Agent({ connections: null });

  const open: ProxySite['open'] = (path, { method = 'GET', token, headers } = {}) => {
    const bearer = token ?? sites.pullToken(repositoryOf(path.replace(/\?.*$/, '')));
    return request(`${proxy.url}/v2/${path}`, {
      method,
      dispatcher: agent,
      headers: { ...(bearer === '' ? {} : { authorization: `Bearer ${bearer}` }), ...headers },
    });
  };

  return {
    ...sites,
    get proxy() {
      return proxy;
    },
    log,
    open,
    async ask(path, asking) {
      const response = await open(path, asking);
      const body = Buffer.from(await response.body.arrayBuffer());
      return { status: response.statusCode, headers: flat(response.headers), body, code: codeOf(body) };
    },
    async metric(name, labels = {}) {
      const response = await request(`${proxy.adminUrl}/metrics`, { dispatcher: agent });
      const lines = (await response.body.text()).split('\n').filter((line) => line.startsWith(`geo_registry_${name}{`));
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
      return lines
        .filter((line) => wanted.every((label) => line.includes(label)))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    },
    async restart(env) {
      await proxy.close();
      proxy = await start(env);
    },
    async close() {
      await agent.destroy();
      await proxy.close();
      await sites.close();
    },
  };
}
