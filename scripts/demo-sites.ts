// The stage of the demo: two sites on free ports of this machine, the proxy between them, and a client.
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createClientHome, type ClientHome } from '../test/support/client-home.ts';
import { startProcess, waitUntilReady, type ServerProcess } from '../test/support/process.ts';
import type { RegistryNotifications } from '../test/support/registry.ts';
import { startSites, type Sites } from '../test/support/sites.ts';
import { freePort, tempDir } from '../test/support/tool.ts';
import { expectThat } from './demo-report.ts';

export const user = 'demo';
export const password = 'demo-password';
export const repository = 'demo/hello';

export interface Stage {
  readonly sites: Sites;
  readonly proxy: ServerProcess;
  /** `host:port` of each, as image names begin. */
  readonly proxyHost: string;
  readonly adminHost: string;
  readonly primaryHost: string;
  readonly client: ClientHome;
  /** The file of variables that the proxy was started with. */
  readonly envFile: string;
  /** What the primary registry is told to notify the proxy with. */
  readonly notifications: RegistryNotifications;
  /** A scratch directory for images. */
  readonly scratch: string;
}

/** The directory of this checkout. */
export const clone = resolve(import.meta.dirname, '..');

/** The user's environment without settings of the proxy that may be in it. */
function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GEO_')));
}

async function writeEnvFile(file: string, settings: Readonly<Record<string, string>>): Promise<string> {
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(file, lines.join(''), { mode: 0o600 });
  return file;
}

function startProxy(envFile: string): ServerProcess {
  const program = join(clone, 'bin/geo-registry-proxy.cjs');
  const args = ['--', program, '--env-file', envFile, 'serve'];
  return startProcess(process.execPath, args, { env: plainEnvironment(), cwd: clone });
}

async function stopProxy(proxy: ServerProcess): Promise<void> {
  const ended = await proxy.stop();
  expectThat(ended === 0, `the proxy was told to stop, and ended with ${ended} instead of 0`);
}

/** Starts everything; what was started is handed to `stack`, to be stopped in reverse order. */
export async function setTheStage(stack: AsyncDisposableStack): Promise<Stage> {
  const { path: scratch } = stack.use(await tempDir());
  const client = stack.adopt(await createClientHome(), (home) => home.remove());
  const users = { [user]: password };
  const projects = { [user]: { 'demo/**': ['pull', 'push'] } };
  const sites = stack.adopt(await startSites({ users, projects }), (started) => started.close());
  const [proxyHost, adminHost] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const primaryHost = `127.0.0.1:${sites.primary.port}`;
  const eventsToken = 'demo-events-token';
  const notifications = {
    url: `http://${proxyHost}/api/v4/container_registry_event/events`,
    headers: { Authorization: [eventsToken] },
  };
  const envFile = await writeEnvFile(join(scratch, 'demo.env'), {
    ...sites.env(),
    GEO_SITE_NAME: 'demo',
    GEO_LISTEN: proxyHost,
    GEO_ADMIN_LISTEN: adminHost,
    GEO_SECONDARY_URL: sites.secondary.url,
    // The proxy reaches the primary through a relay, which counts; people push to the registry itself.
    GEO_PUSH_HOST: primaryHost,
    GEO_EVENTS_TOKEN: eventsToken,
  });
  const proxy = stack.adopt(startProxy(envFile), stopProxy);
  const isHealthy = async (): Promise<boolean> => (await fetch(`http://${proxyHost}/healthz`)).ok;
  await waitUntilReady(proxy, isHealthy, `the proxy at ${proxyHost}`);
  return { sites, proxy, proxyHost, adminHost, primaryHost, client, envFile, notifications, scratch };
}
