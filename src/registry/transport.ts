// The sockets: one undici agent a registry, TLS verified, replaced as a whole when the certificate authorities change.
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { Agent, buildConnector, Dispatcher, EnvHttpProxyAgent } from 'undici';

/** What an agent is made of; times in milliseconds. */
export interface TransportOptions {
  /** Connections per origin. */
  readonly connections: number;
  readonly connectTimeout: number;
  /** How long a body may stand still. */
  readonly bodyTimeout: number;
  /** More certificate authorities, PEM, beside the system's. */
  readonly caFile?: string | undefined;
  /** Whether HTTPS_PROXY and NO_PROXY are honoured. */
  readonly useProxy?: boolean;
}

const PROXY_VARIABLES = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY'];

function certificateAuthorities(caFile: string | undefined): string[] | undefined {
  return caFile === undefined ? undefined : [...rootCertificates, readFileSync(caFile, 'utf8')];
}

/** Notes on a socket's error how much the socket had read before: what died on a re-used socket may be asked again. */
function noteReuse(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) => {
    connect(options, (...result) => {
      const socket = result[1];
      socket?.prependListener('error', (error: Error) => {
        Object.assign(error, { bytesReadBefore: socket.bytesRead });
      });
      callback(...result);
    });
  };
}

function createAgent(options: TransportOptions): Dispatcher {
  const ca = certificateAuthorities(options.caFile);
  const tls = ca === undefined ? {} : { ca };
  const common = {
    connections: options.connections,
    // Time to headers is the caller's (it differs by who waits); see client.ts.
    headersTimeout: 0,
    bodyTimeout: options.bodyTimeout,
    pipelining: 1,
  };
  if (options.useProxy && PROXY_VARIABLES.some((name) => process.env[name])) {
    return new EnvHttpProxyAgent({ ...common, connect: tls, requestTls: tls });
  }
  const connect = noteReuse(buildConnector({ ...tls, timeout: options.connectTimeout }));
  return new Agent({ ...common, connect });
}

/** A dispatcher whose agent can be replaced: requests under way end on the old one. */
export class Transport extends Dispatcher {
  readonly #options: TransportOptions;
  #agent: Dispatcher;

  constructor(options: TransportOptions) {
    super();
    this.#options = options;
    this.#agent = createAgent(options);
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return this.#agent.dispatch(options, handler);
  }

  /** Reads the certificate authorities again. @throws when the file cannot be read: the old agent stays. */
  reload(): void {
    const old = this.#agent;
    this.#agent = createAgent(this.#options);
    void old.close();
  }

  override close(): Promise<void>;
  override close(callback: () => void): void;
  override close(callback?: () => void): Promise<void> | void {
    const closed = this.#agent.close();
    if (!callback) return closed;
    void closed.then(callback);
  }

  override destroy(): Promise<void>;
  override destroy(error: Error | null): Promise<void>;
  override destroy(callback: () => void): void;
  override destroy(error: Error | null, callback: () => void): void;
  override destroy(first?: Error | null | (() => void), second?: () => void): Promise<void> | void {
    const destroyed = this.#agent.destroy(first instanceof Error ? first : null);
    const callback = typeof first === 'function' ? first : second;
    if (!callback) return destroyed;
    void destroyed.then(callback);
  }
}

/** Whether a request failed on a socket that had served others before: its peer closed it while it was idle. */
export function diedOnReusedSocket(error: unknown): boolean {
  const { bytesReadBefore, socket } = error as { bytesReadBefore?: number; socket?: { bytesRead?: number } };
  return (bytesReadBefore ?? socket?.bytesRead ?? 0) > 0;
}
