// Sends one request once: where it goes, its headers, its time limit, and an outage for each error of the socket.
import type { Dispatcher } from 'undici';
import type { Access } from '../auth/scope.ts';
import { reasonOf, RegistryOutage } from './answer.ts';
import type { RegistryRequest } from './client.ts';
import { Patience } from './patience.ts';
import { requestOnce } from './request.ts';
import type { RegistryResponse } from './response.ts';
import type { Sockets } from './transport.ts';

/** Where a request goes: an origin as `URL.origin`, and a path with its query. */
export interface Destination {
  readonly origin: string;
  readonly path: string;
}

/** A registry's own origin: where its token may go. */
export class Home {
  /** As `URL.origin`, which is computed anew at each access. */
  readonly origin: string;
  readonly #url: URL;
  readonly #secured: string;

  constructor(url: URL) {
    this.#url = url;
    this.origin = url.origin;
    // A registry that redirects from http to https gets our token there: it has crossed the network in plain text before.
    this.#secured = url.protocol === 'http:' && url.port === '' ? `https://${url.host}` : this.origin;
  }

  /** Whether an origin is the registry's: its own, or that of the same host by https where ours is http. */
  has(origin: string): boolean {
    return origin === this.origin || origin === this.#secured;
  }

  /** Where a target leads: a path on the registry, or a whole URL. */
  locate(target: string | URL): Destination {
    // Most requests; a path of ours needs no parsing.
    if (typeof target === 'string' && target.startsWith('/v2/')) return { origin: this.origin, path: target };
    const { origin, pathname, search } = new URL(target, this.#url);
    return { origin, path: pathname + search };
  }
}

interface SenderDeps {
  readonly registry: string;
  readonly home: Home;
  readonly sockets: Sockets;
  readonly via: string;
  /** The Authorization header of an access. */
  readonly header: (access: readonly Access[]) => Promise<string | undefined>;
}

// Of undici, and of the kernel.
const CONNECT_TIMEOUTS = new Set(['UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT']);

function isRead({ method }: RegistryRequest): boolean {
  return method === 'GET' || method === 'HEAD';
}

function isConnectTimeout(error: unknown): boolean {
  return CONNECT_TIMEOUTS.has((error as { code?: string }).code ?? '');
}

/** Sends requests to one registry, and to where it redirects. */
export class Sender {
  readonly #deps: SenderDeps;
  // Requests without headers that end when the breaker opens.
  readonly #waiting = new Set<Patience>();

  constructor(deps: SenderDeps) {
    this.#deps = deps;
  }

  /** A time limit (ms), which {@link endAll} ends; `isFull` as of a Patience. */
  limit(timeout: number, isFull = (): boolean => this.#isFull()): Patience {
    return new Patience({ registry: this.#deps.registry, timeout, isFull, waiting: this.#waiting });
  }

  /** Ends the requests that have no headers yet, but for writes. */
  endAll(outage: RegistryOutage): void {
    for (const one of this.#waiting) one.end(outage);
  }

  /** Sends a request, by default on the shared connections. @throws RegistryOutage */
  async send(
    request: RegistryRequest,
    to: Destination,
    sockets: Dispatcher = this.#deps.sockets,
  ): Promise<RegistryResponse> {
    const { registry } = this.#deps;
    const limit = this.#limitFor(request, to, sockets);
    const { signal } = request;
    const leave = (): void => {
      const reason: unknown = signal!.reason;
      const outage = new RegistryOutage(registry, `given up: ${reasonOf(reason)}`, reason, { counts: false });
      // An upload that is given up has no answer to wait for.
      if (isRead(request)) limit.leave(outage);
      else limit.end(outage);
    };
    // It stays after the headers, and then ends the body.
    if (signal?.aborted) leave();
    else signal?.addEventListener('abort', leave, { once: true });
    try {
      return await limit.race(this.#dispatch(request, to, limit, sockets));
    } catch (error) {
      if (error instanceof RegistryOutage) throw error;
      throw new RegistryOutage(registry, reasonOf(error), error, { isTimeout: isConnectTimeout(error) });
    } finally {
      limit.stop();
    }
  }

  #isFull(): boolean {
    return this.#deps.sockets.isFull(this.#deps.home.origin);
  }

  /** A write may have had its effect, and keeps its full time when the breaker opens. */
  #limitFor(request: RegistryRequest, to: Destination, sockets: Dispatcher): Patience {
    const { registry, home, sockets: own } = this.#deps;
    const { timeout } = request;
    if (isRead(request) && sockets === own && to.origin === home.origin) return this.limit(timeout);
    return new Patience({ registry, timeout, isFull: () => sockets === own && this.#isFull() });
  }

  async #dispatch(
    request: RegistryRequest,
    { origin, path }: Destination,
    { signal, onSent }: Patience,
    sockets: Dispatcher,
  ): Promise<RegistryResponse> {
    const { registry, home, via } = this.#deps;
    const { method, access, body = null } = request;
    // Wherever a registry's answer leads, our token is for that registry alone.
    if (access && !home.has(origin)) throw new RegistryOutage(registry, 'it led to another host');
    const authorization = access && (await this.#deps.header(access));
    signal.throwIfAborted();
    const headers: Record<string, string> = { 'user-agent': 'geo-registry-proxy', via, 'accept-encoding': 'identity' };
    Object.assign(headers, request.headers);
    if (authorization !== undefined) headers['authorization'] = authorization;
    // By default undici closes the socket after a HEAD, in case of a body: each look-up would need a new connection.
    const reset = false;
    return requestOnce(sockets, { origin, path, method, headers, body, signal, onSent, reset });
  }
}
