// Let in with credentials of a Docker configuration, in whichever way the registry's challenge asks for.
import type { Dispatcher } from 'undici';
import { parseChallenges, type Challenge } from '../auth/challenge.ts';
import { scopeText, type Access } from '../auth/scope.ts';
import { createLru, detached } from '../lib/lru.ts';
import { createSingleFlight } from '../lib/single-flight.ts';
import { RegistryOutage } from './answer.ts';
import { knownRealmOf, type ReadCredentials } from './authorizer-credentials.ts';
import { basicHeader, requestToken, type TokenRequest } from './authorizer-token.ts';
import type { Authorizer } from './authorizer.ts';

/** What the authorizer is made of. */
export interface DockerConfigDeps {
  readonly registry: URL;
  readonly readCredentials: ReadCredentials;
  readonly dispatcher: Dispatcher;
}

/** Knobs; times in ms. */
export interface DockerConfigOptions {
  /** Hosts of token services besides the registry's own that its credentials may be sent to. */
  readonly trustedRealms?: readonly string[];
  readonly timeout?: number;
  readonly clock?: () => number;
}

/** The header that requests go out with; undefined where nothing that we have is accepted. */
interface Held {
  readonly header: string | undefined;
  readonly scopes: readonly string[];
  readonly freshUntil: number;
  /** Since when it has been this header. */
  readonly since: number;
}

type TokenCredentials = TokenRequest['credentials'];

const TIMEOUT = 10_000;
// Bytes of what is remembered of a scope beside its texts.
const HELD = 256;
// A token is given out until this long before it ends.
const MARGIN = 10_000;
// What is not a token with a lifetime of its own is looked up again after this.
const SHORT = 2_000;

function preferred(header: string | undefined): Challenge | undefined {
  const challenges = parseChallenges(header);
  return ['bearer', 'basic'].map((wanted) => challenges.find(({ scheme }) => scheme === wanted)).find(Boolean);
}

function isLoopback(hostname: string): boolean {
  return /^(?:127(?:\.\d+){3}|\[::1\]|(?:.+\.)?localhost)$/.test(hostname);
}

/**
 * An authorizer that answers Basic and Bearer challenges. What a registry asks for is learned from its first 401.
 * Credentials go to the registry's own host, to a trusted realm, or (those of that host) to a realm that has some.
 * Rejects with a {@link RegistryOutage} when a token cannot be had, and for a realm that must not be asked.
 */
export function dockerConfigAuthorizer(deps: DockerConfigDeps, options: DockerConfigOptions = {}): Authorizer {
  const { registry, readCredentials, dispatcher } = deps;
  const { trustedRealms = [], timeout = TIMEOUT, clock = () => performance.now() } = options;
  const memory = createLru<string, Held>('serviceTokens', {
    sizeOf: ({ header, scopes }) => HELD + (header?.length ?? 0) + scopes.join().length,
  });
  const extraScopes = createLru<string, string>('askedScopes', { sizeOf: (scope) => scope.length });
  const flights = createSingleFlight<Held>();
  const known = knownRealmOf(registry.host);
  const trusted = new Set([
    registry.hostname,
    ...(known ? [known] : []),
    ...trustedRealms.map((name) => name.toLowerCase()),
  ]);
  let challenge: Challenge | undefined;

  function checkedRealm(): URL {
    const text = challenge?.parameters.get('realm') ?? '';
    if (!URL.canParse(text)) throw new Error('its challenge names no token service');
    const realm = new URL(text);
    if (realm.protocol === 'https:' || (realm.protocol === 'http:' && isLoopback(realm.hostname))) return realm;
    throw new Error(`its token service ${realm.host} is not reached over https`);
  }

  /** The credentials for the realm: those of the registry only where they may go. */
  async function realmCredentials(realm: URL, own: TokenCredentials, fresh: boolean): Promise<TokenCredentials> {
    const { hostname, host } = realm;
    if (!own || trusted.has(hostname) || trusted.has(host)) return own;
    const theirs = await readCredentials(host, undefined, { fresh });
    if (theirs && theirs.kind !== 'registry') return theirs;
    throw new Error(
      `its token service is on another host, ${host}, that is not trusted and has no credentials of its own`,
    );
  }

  async function authorize(
    access: readonly Access[],
    scopes: readonly string[],
    fresh: boolean,
  ): Promise<Omit<Held, 'since'>> {
    const repository = access.find(({ type }) => type === 'repository')?.name;
    const own = await readCredentials(registry.host, repository, { fresh });
    const soon = { scopes, freshUntil: clock() + SHORT };
    if (challenge?.scheme === 'basic') return { ...soon, header: own?.kind === 'basic' ? basicHeader(own) : undefined };
    if (own?.kind === 'registry') return { ...soon, header: `Bearer ${own.token}` };
    const realm = checkedRealm();
    const credentials = await realmCredentials(realm, own, fresh);
    const service = challenge?.parameters.get('service');
    const answer = await requestToken({ dispatcher, timeout }, { realm, service, scopes, credentials });
    if (!answer) return { ...soon, header: undefined };
    const freshUntil = clock() + answer.lifetime - Math.min(MARGIN, answer.lifetime / 2);
    return { scopes, freshUntil, header: `Bearer ${answer.token}` };
  }

  /** What is needed, and what the registry's own challenge asked for on top. */
  function scopesOf(access: readonly Access[]): readonly string[] {
    const extra = extraScopes.get(scopeText(access))?.split(' ').filter(Boolean) ?? [];
    return [...new Set([...access.map((entry) => scopeText([entry])), ...extra])];
  }

  function obtain(access: readonly Access[], fresh: boolean): Promise<Held> {
    const id = scopeText(access);
    return flights(`${fresh ? 'fresh' : 'known'} ${id}`, async () => {
      const next = await authorize(access, scopesOf(access), fresh).catch((cause: unknown) => {
        throw new RegistryOutage(registry.host, (cause as Error).message, cause);
      });
      const held = memory.get(id);
      const since = held?.header === next.header && held ? held.since : clock();
      memory.set(id, { ...next, since });
      return { ...next, since };
    });
  }

  return {
    isAccount: true,
    isAnonymous: () => challenge === undefined,
    async header(access) {
      if (!challenge) return undefined;
      const held = memory.get(scopeText(access));
      return (held && clock() < held.freshUntil ? held : await obtain(access, false)).header;
    },
    async renew(access, wwwAuthenticate) {
      const told = preferred(wwwAuthenticate);
      if (!told) return false;
      challenge = told;
      const id = scopeText(access);
      extraScopes.set(id, detached(told.parameters.get('scope') ?? ''));
      const held = memory.get(id);
      // Of many that were refused at once the first renews for all.
      const isNew = held && clock() - held.since < SHORT && held.scopes.join() === scopesOf(access).join();
      if (isNew) return held.header !== undefined;
      const { header } = await obtain(access, true);
      return header !== undefined && header !== held?.header;
    },
  };
}
