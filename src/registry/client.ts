// One registry over HTTP: authorization, time to headers, the breaker, and the one retry there is.
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Access } from '../auth/scope.ts';
import { RegistryOutage } from './answer.ts';
import type { Authorizer } from './authorizer.ts';
import { createBreaker, type Breaker, type BreakerOptions } from './breaker.ts';
import { diedOnReusedSocket } from './transport.ts';

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
}

/** A registry's answer; its body has to be read or dumped. */
export type RegistryResponse = Dispatcher.ResponseData;

/** The HTTP client of one registry. */
export interface Client {
  readonly registry: string;
  readonly origin: URL;
  /** @throws RegistryOutage when the registry could not be asked. */
  send(request: RegistryRequest): Promise<RegistryResponse>;
  /** A value's path to the same breaker, for requests that another library makes. */
  readonly breaker: Breaker;
  readonly authorizer: Authorizer;
}

/** What a client is made of. */
export interface ClientDeps {
  readonly registry: string;
  readonly origin: URL;
  readonly dispatcher: Dispatcher;
  readonly authorizer: Authorizer;
  /** Our name in `Via` (RFC 9110 section 7.6.3), by which we find loops. */
  readonly via: string;
  readonly onBreaker: (open: boolean) => void;
}

// Outages by status: what stands in front of a registry says these, and a client's nonsense cannot cause them.
const OUTAGE_STATUS = new Set([502, 503, 504]);
const PROBE_TIMEOUT = 5_000;

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  return code ?? message ?? 'failed';
}

/** @see ClientDeps */
export function createClient(deps: ClientDeps, options: { breaker?: BreakerOptions } = {}): Client {
  const { registry, origin, dispatcher, authorizer } = deps;

  async function dispatch(request: RegistryRequest, headers: Record<string, string>): Promise<RegistryResponse> {
    const url = new URL(request.target, origin);
    const abort = new AbortController();
    const timer =
      request.timeout > 0
        ? setTimeout(
            () => abort.abort(new RegistryOutage(registry, `no answer in ${request.timeout} ms`)),
            request.timeout,
          )
        : undefined;
    try {
      return await dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: request.method,
        headers,
        body: request.body ?? null,
        signal: abort.signal,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async function once(request: RegistryRequest, headers: Record<string, string>): Promise<RegistryResponse> {
    const idempotent = request.method === 'GET' || request.method === 'HEAD';
    try {
      return await dispatch(request, headers).catch((error: unknown) => {
        // The only retry: the peer closed an idle socket just as we used it.
        if (idempotent && diedOnReusedSocket(error)) return dispatch(request, headers);
        throw error;
      });
    } catch (error) {
      if (error instanceof RegistryOutage) throw error;
      throw new RegistryOutage(registry, reasonOf(error), error);
    }
  }

  async function checked(request: RegistryRequest, headers: Record<string, string>): Promise<RegistryResponse> {
    const response = await once(request, headers);
    if (!OUTAGE_STATUS.has(response.statusCode)) return response;
    await response.body.dump();
    throw new RegistryOutage(registry, `answered ${response.statusCode}`);
  }

  function guarded(request: RegistryRequest, headers: Record<string, string>): Promise<RegistryResponse> {
    const streaming = request.body !== undefined && !Buffer.isBuffer(request.body);
    // A body that streams can fail by its own source: that says nothing about the registry.
    return streaming ? checked(request, headers) : breaker.run(() => checked(request, headers));
  }

  async function headersFor(request: RegistryRequest): Promise<Record<string, string>> {
    const headers: Record<string, string> = { 'user-agent': 'geo-registry-proxy', via: deps.via, ...request.headers };
    const authorization = request.access && (await credentials(request.access));
    if (authorization !== undefined) headers['authorization'] = authorization;
    return headers;
  }

  async function credentials(access: readonly Access[]): Promise<string | undefined> {
    try {
      return await authorizer.header(access);
    } catch (error) {
      throw new RegistryOutage(registry, `no credentials: ${reasonOf(error)}`, error);
    }
  }

  async function send(request: RegistryRequest): Promise<RegistryResponse> {
    const response = await guarded(request, await headersFor(request));
    if (response.statusCode !== 401 || !request.access) return response;
    if (request.body !== undefined && !Buffer.isBuffer(request.body)) return response;
    const challenge = response.headers['www-authenticate'];
    if (!(await authorizer.renew(request.access, Array.isArray(challenge) ? challenge.join(', ') : challenge))) {
      return response;
    }
    await response.body.dump();
    return guarded(request, await headersFor(request));
  }

  const breaker = createBreaker(
    {
      registry,
      onChange: deps.onBreaker,
      probe: async () => {
        const request = { method: 'GET', target: '/v2/', access: [], timeout: PROBE_TIMEOUT } as const;
        const response = await checked(request, await headersFor(request));
        await response.body.dump();
      },
    },
    options.breaker,
  );

  return { registry, origin, send, breaker, authorizer };
}
