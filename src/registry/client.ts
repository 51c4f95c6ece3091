// The client of one registry: credentials, time limits, the circuit breaker, and one retry after a 401.
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Access } from '../auth/scope.ts';
import { answered, found, reasonOf, RegistryOutage, type Answer } from './answer.ts';
import type { Authorizer } from './authorizer.ts';
import { Breaker, circuitOpen, type BreakerOptions } from './breaker.ts';
import { Cooldown } from './dialect.ts';
import type { Patience } from './patience.ts';
import { discard, type RegistryResponse } from './response.ts';
import { Home, Sender, type Destination } from './sender.ts';
import type { Sockets } from './transport.ts';

/** One request to a registry. */
export interface RegistryRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query on the registry, or (upload sessions, redirects) a whole URL. */
  readonly target: string | URL;
  /** The access that the request needs; undefined sends no Authorization (redirects to a storage). */
  readonly access: readonly Access[] | undefined;
  readonly headers?: Record<string, string>;
  readonly body?: Readable | Buffer;
  /** Milliseconds to the answer's headers; 0 for no limit. */
  readonly timeout: number;
  /** Aborted when the answer, or the rest of its body, is no longer wanted; that is no outage. */
  readonly signal?: AbortSignal | undefined;
}

interface ClientDeps {
  readonly registry: string;
  readonly origin: URL;
  readonly dispatcher: Sockets;
  readonly authorizer: Authorizer;
  /** Our name in `Via` (RFC 9110 section 7.6.3), by which loops are detected. */
  readonly via: string;
  readonly onBreaker: (open: boolean) => void;
}

// Proxies in front of a registry answer these, and a wrong request cannot cause them.
const OUTAGE_STATUS = new Set([502, 503, 504]);
const PROBE_TIMEOUT = 5_000;

type Challenge = string | readonly string[] | undefined;

/** The name of a site's proxy in `Via`. */
export function viaOf(siteName: string): string {
  return `1.1 geo-registry-proxy-${siteName}`;
}

function isStreamed({ body }: RegistryRequest): boolean {
  return body !== undefined && !Buffer.isBuffer(body);
}

/** The HTTP client of one registry. */
export class Client {
  readonly registry: string;
  readonly origin: URL;
  /** Whether it uses credentials of a Docker configuration, and not our key. */
  readonly isByAccount: boolean;
  /**
   * The breaker, {@link patience} and {@link authorization} are also for GET requests that another library makes. Those end
   * when the breaker opens.
   */
  readonly breaker: Breaker;
  readonly #sockets: Sockets;
  readonly #home: Home;
  readonly #authorizer: Authorizer;
  // Accesses whose credentials are being obtained. The probe tries the first, since a token service may hang too.
  readonly #obtaining = new Set<readonly Access[]>();
  readonly #sender: Sender;
  // `/v2/` wants no credentials.
  readonly #isOpen = new Cooldown();
  #probedAccess: readonly Access[] = [];

  constructor(
    { registry, origin, dispatcher: sockets, authorizer, via, onBreaker }: ClientDeps,
    breaker?: BreakerOptions,
  ) {
    this.registry = registry;
    this.origin = origin;
    this.#sockets = sockets;
    const home = (this.#home = new Home(origin));
    this.#authorizer = authorizer;
    this.isByAccount = authorizer.isAccount === true;
    this.#sender = new Sender({ registry, home, sockets, via, header: (access) => this.authorization(access) });
    const onChange = (open: boolean): void => {
      onBreaker(open);
      if (open) this.#sender.endAll(circuitOpen(registry));
    };
    this.breaker = new Breaker({ registry, onChange, probe: (timeout) => this.#probe(timeout) }, breaker);
  }

  /** Whether our token may go to a URL: @see Home */
  isHome(url: URL): boolean {
    return this.#home.has(url.origin);
  }

  /** The time limit (ms) of a request, to its headers. */
  patience(timeout: number): Patience {
    return this.#sender.limit(timeout);
  }

  /** The Authorization header of a request; `lifetime` in ms. @throws RegistryOutage where it cannot be obtained. */
  authorization(access: readonly Access[], lifetime?: number): Promise<string | undefined> {
    return this.#obtain(access, () => this.#authorizer.header(access, lifetime));
  }

  /** As {@link authorization}, for other rooms. */
  credentials(access: readonly Access[], lifetime?: number): Promise<Answer<string | undefined>> {
    return answered(async () => found(await this.authorization(access, lifetime)));
  }

  /** As {@link Authorizer.renew}, for `timeout` ms at most. @throws RegistryOutage */
  renew(access: readonly Access[], challenge: Challenge, timeout: number): Promise<boolean> {
    const limit = this.#sender.limit(timeout, () => false);
    const text = typeof challenge === 'object' ? challenge.join(', ') : challenge;
    const renewed = (): Promise<boolean> => this.#obtain(access, () => this.#authorizer.renew(access, text));
    return this.breaker.run(() => limit.race(renewed()), { isHead: true }).finally(() => limit.stop());
  }

  /** @throws RegistryOutage when the registry could not be asked. */
  async send(request: RegistryRequest): Promise<RegistryResponse> {
    const response = await this.#guarded(request);
    if (!request.access || isStreamed(request)) return response;
    try {
      const challenge = await this.#challengeOf(response, request);
      if (challenge === undefined || !(await this.renew(request.access, challenge, request.timeout))) return response;
    } catch (error) {
      discard(response);
      throw error;
    }
    discard(response);
    return this.#guarded(request);
  }

  /** As {@link send}, for other rooms: any answer is found, whatever its status. */
  ask(request: RegistryRequest): Promise<Answer<RegistryResponse>> {
    return answered(async () => found(await this.send(request)));
  }

  async #obtain<T>(access: readonly Access[], work: () => Promise<T>): Promise<T> {
    this.#obtaining.add(access);
    try {
      return await work();
    } catch (error) {
      // It does not count: a token service may refuse what a client made us ask for.
      throw new RegistryOutage(this.registry, `no credentials: ${reasonOf(error)}`, error, { counts: false });
    } finally {
      this.#obtaining.delete(access);
    }
  }

  async #checked(request: RegistryRequest, to: Destination, sockets?: Dispatcher): Promise<RegistryResponse> {
    const response = await this.#sender.send(request, to, sockets);
    if (!OUTAGE_STATUS.has(response.statusCode)) return response;
    discard(response);
    throw new RegistryOutage(this.registry, `answered ${response.statusCode}`);
  }

  #guarded(request: RegistryRequest): Promise<RegistryResponse> {
    const to = this.#home.locate(request.target);
    // Answers of a storage say nothing about the registry.
    if (to.origin !== this.#home.origin) return this.#sender.send(request, to);
    // Nor does a streamed body, which can fail by its own source.
    if (isStreamed(request)) return this.#checked(request, to);
    return this.breaker.run(() => this.#checked(request, to), { isHead: request.method === 'HEAD' });
  }

  /** The challenge to which we can respond with credentials; undefined where there is none. */
  async #challengeOf(
    { statusCode, headers }: RegistryResponse,
    { access, timeout }: RegistryRequest,
  ): Promise<Challenge> {
    if (statusCode === 401) return headers['www-authenticate'] ?? '';
    // Without credentials some registries answer 403 or 404 for what is private, and challenge at /v2/ alone.
    const isHidden = (statusCode === 403 || statusCode === 404) && this.#authorizer.isAnonymous?.() === true;
    if (!isHidden || access?.length === 0 || this.#isOpen.isOn) return undefined;
    const response = await this.#guarded({ method: 'GET', target: '/v2/', access: undefined, timeout });
    discard(response);
    if (response.statusCode === 401) return response.headers['www-authenticate'];
    this.#isOpen.start();
    return undefined;
  }

  /** Asks `/v2/` on a connection of its own: the others may all be in use by requests that hang. */
  async #probe(timeout = PROBE_TIMEOUT): Promise<void> {
    const [pending = this.#probedAccess] = this.#obtaining;
    this.#probedAccess = pending;
    const sockets = this.#sockets.apart();
    const request = { method: 'GET', target: '/v2/', access: this.#probedAccess, timeout } as const;
    try {
      discard(await this.#checked(request, this.#home.locate(request.target), sockets));
      this.#probedAccess = [];
    } finally {
      sockets.destroy().catch(() => undefined);
    }
  }
}

/** @see Client */
export function createClient(deps: ClientDeps, options: { breaker?: BreakerOptions } = {}): Client {
  return new Client(deps, options.breaker);
}
