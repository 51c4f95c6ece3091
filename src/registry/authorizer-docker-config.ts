// Authorizes requests with credentials of a Docker configuration, as the registry's challenge demands.
import type { Dispatcher } from 'undici';
import { parseChallenges, type Challenge } from '../auth/challenge.ts';
import { scopeText, type Access } from '../auth/scope.ts';
import { createLru, detached } from '../lib/lru.ts';
import { createSingleFlight } from '../lib/single-flight.ts';
import { RegistryOutage } from './answer.ts';
import { knownRealmOf, type ReadCredentials } from './authorizer-credentials.ts';
import { basicHeader, requestToken, type TokenRequest } from './authorizer-token.ts';
import type { Authorizer } from './authorizer.ts';

interface DockerConfigDeps {
  readonly registry: URL;
  readonly readCredentials: ReadCredentials;
  readonly dispatcher: Dispatcher;
}

/** Times in ms. */
export interface DockerConfigOptions {
  /** Hosts of token services, beside the registry's own, that its credentials may be sent to. */
  readonly trustedRealms?: readonly string[];
  readonly timeout?: number;
  readonly clock?: () => number;
}

/** A cached header; undefined where the token service refuses our credentials. */
interface Held {
  readonly header: string | undefined;
  readonly scopes: readonly string[];
  readonly freshUntil: number;
  /** When this header was obtained first. */
  readonly since: number;
}

type TokenCredentials = TokenRequest['credentials'];

const TIMEOUT = 10_000;
// Bytes of a cached header beside its strings.
const HELD = 256;
// A token is used until this long before it expires.
const MARGIN = 10_000;
// How long what is not a token with its own lifetime is cached.
const SHORT = 2_000;

function preferred(header: string | undefined): Challenge | undefined {
  const challenges = parseChallenges(header);
  return ['bearer', 'basic'].map((wanted) => challenges.find(({ scheme }) => scheme === wanted)).find(Boolean);
}

function isLoopback(hostname: string): boolean {
  return /^(?:127(?:\.\d+){3}|\[::1\]|(?:.+\.)?localhost)$/.test(hostname);
}

function realmOf(challenge: Challenge): URL {
  const text = challenge.parameters.get('realm') ?? '';
  if (!URL.canParse(text)) throw new Error('its challenge names no token service');
  const realm = new URL(text);
  if (realm.protocol === 'https:' || (realm.protocol === 'http:' && isLoopback(realm.hostname))) return realm;
  throw new Error(`its token service ${realm.host} is not reached over https`);
}

/**
 * Responds to Basic and Bearer challenges, the first of which comes with the first 401. The registry's credentials go to
 * its own host or a trusted realm; another realm gets the credentials of its own host.
 * Rejects with a {@link RegistryOutage} when a token cannot be obtained, and for a realm that must not be asked.
 */
export class DockerConfigAuthorizer implements Authorizer {
  readonly isAccount = true;
  readonly #deps: DockerConfigDeps;
  readonly #timeout: number;
  readonly #clock: () => number;
  readonly #trusted: ReadonlySet<string>;
  readonly #cache = createLru<string, Held>('serviceTokens', {
    sizeOf: ({ header, scopes }) => HELD + (header?.length ?? 0) + scopes.join().length,
  });
  readonly #extraScopes = createLru<string, string>('askedScopes', { sizeOf: (scope) => scope.length });
  readonly #flights = createSingleFlight<Held>();
  #challenge: Challenge | undefined;

  constructor(
    deps: DockerConfigDeps,
    { trustedRealms = [], timeout = TIMEOUT, clock = () => performance.now() }: DockerConfigOptions = {},
  ) {
    this.#deps = deps;
    this.#timeout = timeout;
    this.#clock = clock;
    const known = knownRealmOf(deps.registry.host);
    const configured = trustedRealms.map((name) => name.toLowerCase());
    this.#trusted = new Set([deps.registry.hostname, ...(known ? [known] : []), ...configured]);
  }

  isAnonymous(): boolean {
    return this.#challenge === undefined;
  }

  async header(access: readonly Access[]): Promise<string | undefined> {
    if (!this.#challenge) return undefined;
    const held = this.#cache.get(scopeText(access));
    if (held && this.#clock() < held.freshUntil) return held.header;
    return (await this.#obtain(access, this.#challenge, false)).header;
  }

  async renew(access: readonly Access[], wwwAuthenticate: string | undefined): Promise<boolean> {
    const challenge = preferred(wwwAuthenticate);
    if (!challenge) return false;
    this.#challenge = challenge;
    const id = scopeText(access);
    this.#extraScopes.set(id, detached(challenge.parameters.get('scope') ?? ''));
    const held = this.#cache.get(id);
    // Of many requests that were refused together the first renews for all.
    const isNew = held && this.#clock() - held.since < SHORT && held.scopes.join() === this.#scopesOf(access).join();
    if (isNew) return held.header !== undefined;
    const { header } = await this.#obtain(access, challenge, true);
    return header !== undefined && header !== held?.header;
  }

  /** The scopes of an access, and those that the registry's challenge asked for in addition. */
  #scopesOf(access: readonly Access[]): readonly string[] {
    const extra = this.#extraScopes.get(scopeText(access))?.split(' ').filter(Boolean) ?? [];
    return [...new Set([...access.map((entry) => scopeText([entry])), ...extra])];
  }

  #obtain(access: readonly Access[], challenge: Challenge, fresh: boolean): Promise<Held> {
    const id = scopeText(access);
    return this.#flights(`${fresh ? 'fresh' : 'known'} ${id}`, async () => {
      const next = await this.#request(access, challenge, fresh).catch((cause: unknown) => {
        throw new RegistryOutage(this.#deps.registry.host, (cause as Error).message, cause);
      });
      const held = this.#cache.get(id);
      const since = held?.header === next.header && held ? held.since : this.#clock();
      this.#cache.set(id, { ...next, since });
      return { ...next, since };
    });
  }

  async #request(access: readonly Access[], challenge: Challenge, fresh: boolean): Promise<Omit<Held, 'since'>> {
    const { registry, readCredentials, dispatcher } = this.#deps;
    const scopes = this.#scopesOf(access);
    const repository = access.find(({ type }) => type === 'repository')?.name;
    const own = await readCredentials(registry.host, repository, { fresh });
    const soon = { scopes, freshUntil: this.#clock() + SHORT };
    if (challenge.scheme === 'basic') return { ...soon, header: own?.kind === 'basic' ? basicHeader(own) : undefined };
    if (own?.kind === 'registry') return { ...soon, header: `Bearer ${own.token}` };
    const realm = realmOf(challenge);
    const credentials = await this.#credentialsFor(realm, own, fresh);
    const wanted = { realm, service: challenge.parameters.get('service'), scopes, credentials };
    const answer = await requestToken({ dispatcher, timeout: this.#timeout }, wanted);
    if (!answer) return { ...soon, header: undefined };
    const freshUntil = this.#clock() + answer.lifetime - Math.min(MARGIN, answer.lifetime / 2);
    return { scopes, freshUntil, header: `Bearer ${answer.token}` };
  }

  /** The credentials for a realm: the registry's only where they may go there. */
  async #credentialsFor(realm: URL, own: TokenCredentials, fresh: boolean): Promise<TokenCredentials> {
    const { hostname, host } = realm;
    if (!own || this.#trusted.has(hostname) || this.#trusted.has(host)) return own;
    const theirs = await this.#deps.readCredentials(host, undefined, { fresh });
    if (theirs && theirs.kind !== 'registry') return theirs;
    throw new Error(
      `its token service is on another host, ${host}, that is not trusted and has no credentials of its own`,
    );
  }
}
