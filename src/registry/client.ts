// One registry over HTTP: authorization, time to headers, the breaker, and the one retry there is.
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Access } from '../auth/scope.ts';
import { RegistryOutage } from './answer.ts';
import type { Authorizer } from './authorizer.ts';
import { circuitOpen, createBreaker, type Breaker, type BreakerOptions } from './breaker.ts';
import { createLapse } from './lapse.ts';
import { createPatience, type Patience } from './patience.ts';
import { discard, type RegistryResponse } from './response.ts';
import { requestOnce, type Sockets } from './transport.ts';

/** One request to a registry. */
export interface RegistryRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query on the registry, or (upload sessions, redirects) a whole URL. */
  readonly target: string | URL;
  /** What the token has to allow; undefined sends no Authorization (redirects to storage). */
  readonly access: readonly Access[] | undefined;
  readonly headers?: Record<string, string>;
  readonly body?: Readable | Buffer;
  /** Milliseconds to the answer's headers; 0 for no limit. */
  readonly timeout: number;
  /** Aborted when the answer, or the rest of its body, is not wanted any more; that is no outage. */
  readonly signal?: AbortSignal | undefined;
}

/** The HTTP client of one registry. */
export interface Client {
  readonly registry: string;
  readonly origin: URL;
  /** Whether it is asked with credentials of a Docker configuration, and not with our key. */
  readonly isByAccount: boolean;
  /** Whether a URL is the registry's own: of its origin, or of the same host by https where ours is http. */
  isHome(url: URL): boolean;
  /** @throws RegistryOutage when the registry could not be asked. */
  send(request: RegistryRequest): Promise<RegistryResponse>;
  /**
   * The same breaker, time to headers (ms) and credentials, for GET requests that another library makes. They end when the
   * breaker opens.
   */
  readonly breaker: Breaker;
  patience(timeout: number): Patience;
  /** As {@link Authorizer.header}. @throws RegistryOutage where there is none to be had. */
  authorization(access: readonly Access[], lifetime?: number): Promise<string | undefined>;
  /** As {@link Authorizer.renew}, for `timeout` ms at most. @throws RegistryOutage */
  renew(
    access: readonly Access[],
    challenge: string | readonly string[] | undefined,
    timeout: number,
  ): Promise<boolean>;
}

/** The name by which a site's proxy says in `Via` that a request went through it. */
export function viaOf(siteName: string): string {
  return `1.1 geo-registry-proxy-${siteName}`;
}

/** What a client is made of. */
export interface ClientDeps {
  readonly registry: string;
  readonly origin: URL;
  readonly dispatcher: Sockets;
  readonly authorizer: Authorizer;
  /** Our name in `Via` (RFC 9110 section 7.6.3), by which we find loops. */
  readonly via: string;
  readonly onBreaker: (open: boolean) => void;
}

// Outages by status: what stands in front of a registry says these, and a client's nonsense cannot cause them.
const OUTAGE_STATUS = new Set([502, 503, 504]);
const PROBE_TIMEOUT = 5_000;

// Of undici, and of the kernel.
const CONNECT_TIMEOUTS = new Set(['UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT']);

function isRead({ method }: RegistryRequest): boolean {
  return method === 'GET' || method === 'HEAD';
}

function isConnectTimeout(error: unknown): boolean {
  return CONNECT_TIMEOUTS.has((error as { code?: string }).code ?? '');
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  return code ?? message ?? 'failed';
}

/** @see ClientDeps */
export function createClient(deps: ClientDeps, options: { breaker?: BreakerOptions } = {}): Client {
  const { registry, origin, dispatcher, authorizer } = deps;

  // Of a URL it is worked out anew each time.
  const home = origin.origin;

  // A registry that leads from http to https gets our token there: it has gone over the network in plain text before.
  const secured = origin.protocol === 'http:' && origin.port === '' ? `https://${origin.host}` : home;
  const isOwn = (host: string): boolean => host === home || host === secured;

  // Anybody may ask this registry: it wants no credentials at /v2/.
  const isOpen = createLapse();

  // Requests without headers that end when the breaker opens: nobody waits for a registry that is known to hang.
  const waiting = new Set<Patience>();
  // Accesses for which credentials are being obtained, and the one that the probe tries: a token service may hang, too.
  const obtaining = new Set<readonly Access[]>();
  let probed: readonly Access[] = [];

  function patience(timeout: number): Patience {
    return createPatience({ registry, timeout, isFull: () => dispatcher.isFull(home), waiting });
  }

  /** A write may have had its effect: it has all of its time. */
  function patienceFor(request: RegistryRequest, sockets: Dispatcher): Patience {
    const { timeout, target } = request;
    if (isRead(request) && sockets === dispatcher && placeOf(target).host === home) return patience(timeout);
    return createPatience({ registry, timeout, isFull: () => sockets === dispatcher && dispatcher.isFull(home) });
  }

  /** The origin and the path of a target; a path of ours needs no reading. */
  function placeOf(target: string | URL): { readonly host: string; readonly path: string } {
    if (typeof target === 'string' && target.startsWith('/v2/')) return { host: home, path: target };
    const { origin: host, pathname, search } = new URL(target, origin);
    return { host, path: pathname + search };
  }

  async function headersFor(request: RegistryRequest): Promise<Record<string, string>> {
    const headers: Record<string, string> = {
      'user-agent': 'geo-registry-proxy',
      via: deps.via,
      'accept-encoding': 'identity',
      ...request.headers,
    };
    const credentials = request.access && (await authorization(request.access));
    if (credentials !== undefined) headers['authorization'] = credentials;
    return headers;
  }

  /** Has credentials obtained. A token service may refuse what a client made us ask for: that is no outage of the registry. */
  async function obtained<T>(access: readonly Access[], work: () => Promise<T>): Promise<T> {
    obtaining.add(access);
    try {
      return await work();
    } catch (error) {
      throw new RegistryOutage(registry, `no credentials: ${reasonOf(error)}`, error, { counts: false });
    } finally {
      obtaining.delete(access);
    }
  }

  function authorization(access: readonly Access[], lifetime?: number): Promise<string | undefined> {
    return obtained(access, () => authorizer.header(access, lifetime));
  }

  async function dispatch(
    request: RegistryRequest,
    { signal, onSent }: Patience,
    sockets: Dispatcher,
  ): Promise<RegistryResponse> {
    const { host, path } = placeOf(request.target);
    // Whatever a registry's answer made of a URL: our token is for that registry alone.
    if (request.access && !isOwn(host)) throw new RegistryOutage(registry, 'it led to another host');
    const headers = await headersFor(request);
    signal.throwIfAborted();
    const { method, body = null } = request;
    // undici closes the socket after a HEAD unless told, in case of a body: each look-up would pay for TCP and TLS.
    const reset = false;
    return requestOnce(sockets, {
      origin: host,
      path,
      method,
      headers,
      body,
      signal,
      onSent,
      reset,
    });
  }

  async function attempt(request: RegistryRequest, sockets: Dispatcher): Promise<RegistryResponse> {
    const limit = patienceFor(request, sockets);
    const { signal } = request;
    const leave = (): void => {
      const { reason } = signal!;
      const outage = new RegistryOutage(registry, `given up: ${reasonOf(reason)}`, reason, { counts: false });
      // An upload that is given up has no answer to wait for.
      if (isRead(request)) limit.leave(outage);
      else limit.end(outage);
    };
    if (signal?.aborted) leave();
    else signal?.addEventListener('abort', leave, { once: true });
    try {
      return await limit.race(dispatch(request, limit, sockets));
    } catch (error) {
      if (error instanceof RegistryOutage) throw error;
      throw new RegistryOutage(registry, reasonOf(error), error, { isTimeout: isConnectTimeout(error) });
    } finally {
      limit.stop();
    }
  }

  async function checked(request: RegistryRequest, sockets: Dispatcher = dispatcher): Promise<RegistryResponse> {
    const response = await attempt(request, sockets);
    if (!OUTAGE_STATUS.has(response.statusCode)) return response;
    discard(response);
    throw new RegistryOutage(registry, `answered ${response.statusCode}`);
  }

  function guarded(request: RegistryRequest): Promise<RegistryResponse> {
    const streaming = request.body !== undefined && !Buffer.isBuffer(request.body);
    // A storage is not the registry: nothing that it answers says anything about that.
    if (placeOf(request.target).host !== home) return attempt(request, dispatcher);
    // A body that streams can fail by its own source, which says nothing, either.
    if (streaming) return checked(request);
    // A registry may answer HEAD and hang at GET.
    return breaker.run(() => checked(request), { isHead: request.method === 'HEAD' });
  }

  function renew(
    access: readonly Access[],
    challenge: string | readonly string[] | undefined,
    timeout: number,
  ): Promise<boolean> {
    const text = typeof challenge === 'object' ? challenge.join(', ') : challenge;
    const limit = createPatience({ registry, timeout, isFull: () => false, waiting });
    const work = (): Promise<boolean> => limit.race(obtained(access, () => authorizer.renew(access, text)));
    return breaker.run(work, { isHead: true }).finally(limit.stop);
  }

  /** The challenge by which a refusal may be answered; undefined where it is the registry's last word. */
  async function challengeOf(
    { statusCode, headers }: RegistryResponse,
    { access, timeout }: RegistryRequest,
  ): Promise<string | readonly string[] | undefined> {
    if (statusCode === 401) return headers['www-authenticate'] ?? '';
    // To those without credentials some registries say so of what is not theirs to see, and ask for some at /v2/ alone.
    const isHidden = (statusCode === 403 || statusCode === 404) && authorizer.isAnonymous?.() === true;
    if (!isHidden || access?.length === 0 || isOpen.isOn) return undefined;
    const asked = await guarded({ method: 'GET', target: '/v2/', access: undefined, timeout });
    discard(asked);
    if (asked.statusCode === 401) return asked.headers['www-authenticate'];
    isOpen.note();
    return undefined;
  }

  async function send(request: RegistryRequest): Promise<RegistryResponse> {
    const response = await guarded(request);
    if (!request.access || (request.body !== undefined && !Buffer.isBuffer(request.body))) return response;
    try {
      const challenge = await challengeOf(response, request);
      if (challenge === undefined || !(await renew(request.access, challenge, request.timeout))) return response;
    } catch (error) {
      discard(response);
      throw error;
    }
    discard(response);
    return guarded(request);
  }

  /** Asks on a connection of its own: the others may all be taken by requests that hang. */
  async function probe(timeout = PROBE_TIMEOUT): Promise<void> {
    const [stuck] = obtaining;
    if (stuck) probed = stuck;
    const sockets = dispatcher.apart();
    try {
      discard(await checked({ method: 'GET', target: '/v2/', access: probed, timeout }, sockets));
      probed = [];
    } finally {
      sockets.destroy().catch(() => undefined);
    }
  }

  function onChange(open: boolean): void {
    deps.onBreaker(open);
    if (open) for (const one of waiting) one.end(circuitOpen(registry));
  }

  const breaker = createBreaker({ registry, onChange, probe }, options.breaker);

  const isByAccount = authorizer.isAccount === true;
  return {
    registry,
    origin,
    isByAccount,
    isHome: (url) => isOwn(url.origin),
    send,
    breaker,
    patience,
    authorization,
    renew,
  };
}
