// The sockets: one undici agent a registry, TLS verified, replaced as a whole when the certificate authorities change.
import { lookup as systemLookup } from 'node:dns';
import { readFileSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import { rootCertificates } from 'node:tls';
import { Agent, buildConnector, Dispatcher, EnvHttpProxyAgent } from 'undici';
import { countChunk } from '../lib/chunk-memory.ts';
import { createLru } from '../lib/lru.ts';
import { AddressRefused, type AddressRule } from './address-rule.ts';
import type { RegistryResponse } from './response.ts';

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
  /** Whose sockets these are, and which addresses besides they may go to; all when absent. */
  readonly bounds?: Bounds;
  /** How names are resolved; by the system when absent. */
  readonly lookup?: LookupFunction;
}

/** A registry's own origin (`URL.origin`), where connections may always go, and the rule for all others. */
export interface Bounds {
  readonly home: string;
  readonly rule: AddressRule;
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

/** A lookup whose result is judged, so that no connection is made to what a name means now and did not before. */
function judged(lookup: LookupFunction, { refusal }: AddressRule, host: string, port: number): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, options, (error, found, family) => {
      const addresses = typeof found === 'string' ? [found] : (found ?? []).map(({ address }) => address);
      const reason = addresses.map((address) => refusal(host, port, address)).find(Boolean);
      callback(reason === undefined ? error : new AddressRefused(reason), found, family);
    });
  };
}

// What one host's TLS session takes, about.
const CONNECTOR_BYTES = 16 * 1024;

/** Connects to the registry itself as it is, and notes where that is; and to all else where the rule has it. */
function bounded(
  { home, rule }: Bounds,
  build: (lookup: LookupFunction) => buildConnector.connector,
  lookup: LookupFunction,
): buildConnector.connector {
  const toHome = build(lookup);
  const elsewhere = createLru<string, buildConnector.connector>('connectors', { sizeOf: () => CONNECTOR_BYTES });
  return (options, callback) => {
    const { protocol, host, hostname, port } = options;
    const origin = `${protocol}//${host}`;
    if (origin === home) {
      toHome(options, (...result) => {
        const address = result[1]?.remoteAddress;
        if (address !== undefined) rule.reachedAt(address);
        callback(...result);
      });
      return;
    }
    const connect = elsewhere.get(origin) ?? build(judged(lookup, rule, hostname, portOf({ protocol, port })));
    elsewhere.set(origin, connect);
    connect(options, callback);
  };
}

/** The port of a URL, also where it is the protocol's own. */
export function portOf({ protocol, port }: Pick<URL, 'protocol' | 'port'>): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

function createAgent(options: TransportOptions, ca: string[] | undefined): Dispatcher {
  const { bounds, connectTimeout: timeout, lookup = systemLookup as LookupFunction } = options;
  const tls = ca === undefined ? {} : { ca };
  const build = (resolve: LookupFunction): buildConnector.connector =>
    buildConnector({ ...tls, timeout, lookup: resolve });
  const common = {
    connections: options.connections,
    // Time to headers is the caller's (it differs by who waits); see client.ts.
    headersTimeout: 0,
    bodyTimeout: options.bodyTimeout,
    pipelining: 1,
    connect: noteReuse(bounds ? bounded(bounds, build, lookup) : build(lookup)),
  };
  // A proxy resolves names by itself: what it does not connect to for us is connected to as without one.
  const isProxied = options.useProxy && PROXY_VARIABLES.some((name) => process.env[name]);
  return isProxied ? new EnvHttpProxyAgent({ ...common, requestTls: tls }) : new Agent(common);
}

/** What a request may say besides undici's own options. */
export interface SocketOptions {
  /** Called when the request goes out: until then it waits for a connection. */
  readonly onSent?: () => void;
}

/** A dispatcher of one registry that knows how busy it is. */
export interface Sockets extends Dispatcher {
  /** Whether every connection that there may be to an origin is in use. */
  isFull(origin: string): boolean;
  /** A dispatcher with connections of its own, which wait for none of the others. Destroy it. */
  apart(): Dispatcher;
}

/** Requests that have a connection, by origin; counted by ourselves, since an agent with an HTTP proxy keeps no figures. */
type Running = Map<string, number>;

/** Tells when undici begins with a request and when it has ended, and counts what comes; the handler is this request's own. */
function watch(handler: Dispatcher.DispatchHandler, onBegin: () => void, onEnd: () => void): () => void {
  const { onRequestStart, onResponseData, onResponseEnd, onResponseError } = handler;
  let state: 'waiting' | 'running' | 'over' = 'waiting';
  const end = (): void => {
    if (state === 'running') onEnd();
    state = 'over';
  };
  handler.onRequestStart = function (this: Dispatcher.DispatchHandler, controller, context) {
    if (state === 'waiting') {
      state = 'running';
      onBegin();
    }
    onRequestStart?.call(this, controller, context);
  };
  handler.onResponseData = function (this: Dispatcher.DispatchHandler, controller, chunk) {
    countChunk(chunk.length);
    onResponseData?.call(this, controller, chunk);
  };
  handler.onResponseEnd = function (this: Dispatcher.DispatchHandler, controller, trailers) {
    end();
    onResponseEnd?.call(this, controller, trailers);
  };
  handler.onResponseError = function (this: Dispatcher.DispatchHandler, controller, error) {
    end();
    onResponseError?.call(this, controller, error);
  };
  return end;
}

/** A dispatcher whose agent can be replaced: requests under way end on the old one. */
export class Transport extends Dispatcher implements Sockets {
  readonly #options: TransportOptions;
  #ca: string[] | undefined;
  #agent: Dispatcher;
  /** Of this agent alone: another one has connections of its own. */
  #running: Running = new Map();

  constructor(options: TransportOptions) {
    super();
    this.#options = options;
    this.#ca = certificateAuthorities(options.caFile);
    this.#agent = createAgent(options, this.#ca);
  }

  override dispatch(options: Dispatcher.DispatchOptions & SocketOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { onSent } = options;
    const running = this.#running;
    const origin = String(options.origin);
    this.#check(origin);
    // An origin that is asked nothing is forgotten: the primary's redirects may name any number of them.
    const add = (by: number): void => {
      const count = (running.get(origin) ?? 0) + by;
      if (count > 0) running.set(origin, count);
      else running.delete(origin);
    };
    const begin = (): void => {
      add(1);
      onSent?.();
    };
    const end = watch(handler, begin, () => add(-1));
    try {
      return this.#agent.dispatch(options, handler);
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Judges a host as far as it can be by itself, which is all that can be done where a proxy resolves it. */
  #check(origin: string): void {
    const { bounds } = this.#options;
    if (!bounds || origin === bounds.home) return;
    const url = new URL(origin);
    const reason = bounds.rule.refusal(url.hostname, portOf(url));
    if (reason !== undefined) throw new AddressRefused(reason);
  }

  isFull(origin: string): boolean {
    return (this.#running.get(origin) ?? 0) >= this.#options.connections;
  }

  apart(): Dispatcher {
    return createAgent({ ...this.#options, connections: 1 }, this.#ca);
  }

  /** Reads the certificate authorities again. @throws when the file cannot be read: the old agent stays. */
  reload(): void {
    const old = this.#agent;
    this.#ca = certificateAuthorities(this.#options.caFile);
    this.#agent = createAgent(this.#options, this.#ca);
    this.#running = new Map();
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
function diedOnReusedSocket(error: unknown): boolean {
  const { bytesReadBefore, socket } = error as { bytesReadBefore?: number; socket?: { bytesRead?: number } };
  return (bytesReadBefore ?? socket?.bytesRead ?? 0) > 0;
}

/** The body of an answer to a HEAD. */
const NO_BODY = {
  closed: true,
  on: () => NO_BODY,
  dump: () => Promise.resolve(),
  destroy: () => NO_BODY,
  async *[Symbol.asyncIterator]() {},
} as unknown as Dispatcher.ResponseData['body'];

type Headers = Dispatcher.ResponseData['headers'];

/** A HEAD without the streams that a body needs: a busy site looks a tag up for each pull. */
function head(dispatcher: Dispatcher, options: Dispatcher.RequestOptions & SocketOptions): Promise<RegistryResponse> {
  const { signal, ...request } = options as typeof options & { readonly signal?: AbortSignal };
  return new Promise((resolve, reject) => {
    let leave: (() => void) | undefined;
    const over = (): void => {
      if (leave) signal?.removeEventListener('abort', leave);
    };
    dispatcher.dispatch(request as Dispatcher.DispatchOptions, {
      onRequestStart(controller) {
        leave = () => controller.abort(signal!.reason as Error);
        if (signal?.aborted) leave();
        else signal?.addEventListener('abort', leave);
      },
      onResponseStart(_controller, statusCode, headers) {
        if (statusCode >= 200) resolve({ statusCode, headers: headers as Headers, body: NO_BODY });
      },
      onResponseData() {},
      onResponseEnd: over,
      onResponseError(_controller, error) {
        over();
        reject(error);
      },
    });
  });
}

/** Makes a request, and once more where it is idempotent and its socket had been closed by its peer just before. */
export async function requestOnce(
  dispatcher: Dispatcher,
  options: Dispatcher.RequestOptions & SocketOptions,
): Promise<RegistryResponse> {
  const make = (): Promise<RegistryResponse> =>
    options.method === 'HEAD' ? head(dispatcher, options) : dispatcher.request(options);
  try {
    return await make();
  } catch (error) {
    const isIdempotent = options.method === 'GET' || options.method === 'HEAD';
    if (!isIdempotent || !diedOnReusedSocket(error)) throw error;
    return make();
  }
}
