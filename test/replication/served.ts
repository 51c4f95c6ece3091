// The program as a process of its own that can be killed at any moment, the primary's notifications leading to it.
import { entry } from '../cli/process.ts';
import { startProcess, waitUntilReady, type ServerProcess } from '../support/process.ts';
import { startSites, type Sites } from '../support/sites.ts';
import { freePort } from '../support/tool.ts';

export interface Served extends AsyncDisposable {
  readonly sites: Sites;
  /** Where the proxy listens, whenever it runs. */
  readonly url: string;
  /** Starts it and waits until it answers. */
  start(): Promise<void>;
  /** Starts it and waits for nothing. */
  launch(): void;
  /** Waits until it answers. */
  untilUp(): Promise<void>;
  /** Ends it as `kill -9` does. */
  kill(): Promise<void>;
  /** All that its processes have printed. */
  log(): string;
}

const SECRET = 'Webhook-Secret-1';

/** Two sites and a program that is not started yet. */
export async function createServed(env: Record<string, string> = {}): Promise<Served> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const webhook = `${url}/api/v4/container_registry_event/events`;
  const sites = await startSites({
    primary: { notifications: { url: webhook, headers: { Authorization: [SECRET] }, backoff: '100ms' } },
  });
  const settings = {
    ...sites.env(),
    GEO_LISTEN: `127.0.0.1:${port}`,
    GEO_EVENTS_TOKEN: SECRET,
    ...env,
    PATH: process.env['PATH'],
  };
  const servers: ServerProcess[] = [];

  const answers = async (): Promise<boolean> => (await fetch(`${url}/healthz`)).ok;

  async function kill(): Promise<void> {
    await servers.at(-1)?.stop('SIGKILL');
  }

  function launch(): ServerProcess {
    const server = startProcess(process.execPath, [entry, 'serve'], { env: settings });
    servers.push(server);
    return server;
  }

  return {
    sites,
    url,
    start: () => waitUntilReady(launch(), answers, 'the proxy'),
    launch: () => void launch(),
    untilUp: () => waitUntilReady(servers.at(-1)!, answers, 'the proxy'),
    kill,
    log: () => servers.map((server) => server.log()).join(''),
    async [Symbol.asyncDispose]() {
      await kill();
      await sites.close();
    },
  };
}
