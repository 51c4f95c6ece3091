// The command `serve`: runs a started proxy under the signals of its supervisor.
import type { Config } from '../config/config.ts';
import { errorLines, say } from './output.ts';

/** A proxy that listens. */
export interface RunningProxy {
  /** Lets open transfers finish, within the configured time, and stops. */
  close(): Promise<void>;
  /** Reads keys and certificates again. */
  reload?(): unknown;
}

/** The composition root as the command line sees it. */
export type StartProxy = (config: Config) => Promise<RunningProxy>;

/**
 * Starts the proxy and returns once it listens. SIGTERM and SIGINT close it and exit 0, a second one exits 1 at once,
 * SIGHUP reloads. Throws when it cannot start, with the variable's name where an address cannot be listened on.
 */
export async function serve(config: Config, start: StartProxy): Promise<void> {
  // Before the start, so that a signal during it is not the end without an orderly stop.
  const starting = Promise.withResolvers<RunningProxy>();
  handleSignals(starting.promise);
  try {
    starting.resolve(await start(config));
  } catch (error) {
    throw listenFailure(error, config) ?? error;
  }
}

function handleSignals(starting: Promise<RunningProxy>): void {
  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(1);
    stopping = true;
    void starting.then(close);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => void starting.then(reload));
}

async function close(proxy: RunningProxy): Promise<void> {
  try {
    await proxy.close();
  } catch (error) {
    for (const line of errorLines(error)) say(`cannot stop in order: ${line}`);
    process.exit(1);
  }
  process.exit(0);
}

async function reload(proxy: RunningProxy): Promise<void> {
  try {
    await proxy.reload?.();
  } catch (error) {
    for (const line of errorLines(error)) say(`cannot reload: ${line}`);
  }
}

/** What Node says of an address that cannot be listened on: looked up (`hostname`) or bound (`address`, `port`). */
interface ListenError extends NodeJS.ErrnoException {
  readonly address?: string;
  readonly port?: number;
  readonly hostname?: string;
}

function listenFailure(error: unknown, config: Pick<Config, 'listen' | 'adminListen'>): Error | undefined {
  if (!(error instanceof Error)) return undefined;
  const { syscall, address, port, hostname } = error as ListenError;
  if (syscall !== 'listen' && syscall !== 'getaddrinfo') return listenFailure(error.cause, config);
  const listeners = [
    { name: 'GEO_LISTEN', ...config.listen },
    { name: 'GEO_ADMIN_LISTEN', ...config.adminListen },
  ];
  // Both may have one port on different addresses, `localhost` is bound by its address, and port 0 is left out.
  const listener =
    listeners.find(({ host, port: wanted }) => host === address && wanted === (port ?? wanted)) ??
    listeners.find(({ host, port: wanted }) => host === hostname || wanted === port);
  return listener && new Error(`${listener.name}: cannot listen`, { cause: error });
}
