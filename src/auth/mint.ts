// Our own tokens for the registries: minted with the sites' shared key, remembered per scope until shortly before they end.
import { randomUUID } from 'node:crypto';
import { SignJWT, type JWTHeaderParameters } from 'jose';
import { createLru } from '../lib/lru.ts';
import { libtrustId, thumbprint } from './key-id.ts';
import type { KeyRing, KeySet } from './key-ring.ts';
import { algorithmsOf } from './keys.ts';
import type { Access } from './scope.ts';

/** How minted tokens name their key: Distribution 2 and GitLab, Distribution 3, or by certificate for both. */
export type TokenKeyId = 'libtrust' | 'rfc7638' | 'x5c';

/** Mints tokens (Distribution spec/auth/jwt.md). */
export interface Minter {
  /**
   * A token with this access, valid for `ttl` ms; `fresh` asks for one that was not given before.
   * @throws {Error} when the key cannot sign.
   */
  mint(access: readonly Access[], options?: { readonly ttl?: number; readonly fresh?: boolean }): Promise<string>;
}

/** What a minter is made of; `clock` gives ms since the epoch. */
export interface MinterDeps {
  readonly keys: Pick<KeyRing, 'current'>;
  readonly issuer: string;
  readonly service: string;
  readonly tokenKeyId: TokenKeyId;
  readonly clock?: () => number;
}

interface Minted {
  readonly token: Promise<string>;
  /** Characters of the token; a guess until it is signed. */
  length: number;
  readonly freshUntil: number;
  pending: boolean;
}

type SigningKey = NonNullable<KeySet['signing']>;

// GitLab's values: five minutes, and five seconds for a registry whose clock is behind.
const TTL = 300_000;
const NOT_BEFORE = 5;
// A token is given out until this long before it ends: the request it is for may wait in a queue.
const MARGIN = 60_000;
// Bytes of a token that is remembered beside its text, and of one whose text is not known yet.
const OVERHEAD = 256;
const GUESS = 1_024;

function signingKey(keys: KeySet, tokenKeyId: TokenKeyId): SigningKey {
  if (!keys.signing) throw new Error('no private key to sign tokens with');
  if (tokenKeyId === 'x5c' && keys.signing.chain.length === 0) throw new Error('no certificate of the private key');
  return keys.signing;
}

async function headerFor({ key, chain }: SigningKey, tokenKeyId: TokenKeyId): Promise<JWTHeaderParameters> {
  const header = { typ: 'JWT', alg: algorithmsOf(key)[0]! };
  if (tokenKeyId === 'x5c') return { ...header, x5c: [...chain] };
  return { ...header, kid: tokenKeyId === 'libtrust' ? libtrustId(key) : await thumbprint(key) };
}

/**
 * A minter of the ring's private key; `ttl` is in ms. A change of keys drops what was minted before.
 * @throws {Error} when there is no private key, or no certificate of it for `x5c`.
 */
export function createMinter(deps: MinterDeps, options: { ttl?: number; cacheBytes?: number } = {}): Minter {
  const { keys, issuer, service, tokenKeyId, clock = Date.now } = deps;
  const cache = createLru<string, Minted>('ownTokens', {
    ...(options.cacheBytes === undefined ? {} : { maxBytes: options.cacheBytes }),
    sizeOf: ({ length }) => OVERHEAD + length,
  });
  let { version } = keys.current();
  let signing = signingKey(keys.current(), tokenKeyId);
  let header = headerFor(signing, tokenKeyId);

  function useCurrentKey(): void {
    const current = keys.current();
    if (current.version === version) return;
    signing = signingKey(current, tokenKeyId);
    ({ version } = current);
    header = headerFor(signing, tokenKeyId);
    cache.clear();
  }

  async function sign(access: readonly Access[], issuedAt: number, expiresAt: number): Promise<string> {
    const { key } = signing;
    const entries = access.map(({ type, name, actions }) => ({ type, name, actions }));
    return new SignJWT({ access: entries })
      .setProtectedHeader(await header)
      .setIssuer(issuer)
      .setAudience(service)
      .setJti(randomUUID())
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt - NOT_BEFORE)
      .setExpirationTime(expiresAt)
      .sign(key);
  }

  function start(id: string, access: readonly Access[], ttl: number): Promise<string> {
    const issuedAt = Math.floor(clock() / 1_000);
    const expiresAt = issuedAt + Math.ceil(ttl / 1_000);
    const token = sign(access, issuedAt, expiresAt);
    const freshUntil = expiresAt * 1_000 - Math.min(MARGIN, ttl / 2);
    const minted: Minted = { token, length: GUESS, freshUntil, pending: true };
    cache.set(id, minted);
    const isRemembered = (): boolean => cache.peek(id) === minted;
    token.then(
      ({ length }) => {
        minted.pending = false;
        minted.length = length;
        // Its size is counted when it is set.
        if (isRemembered()) cache.set(id, minted);
      },
      () => isRemembered() && cache.delete(id),
    );
    return token;
  }

  return {
    async mint(access, { ttl = options.ttl ?? TTL, fresh = false } = {}) {
      useCurrentKey();
      const id = JSON.stringify([ttl, access]);
      const known = cache.get(id);
      if (known && (known.pending || (!fresh && clock() < known.freshUntil))) return known.token;
      return start(id, access, ttl);
    },
  };
}
