// Our own tokens for the registries, signed with the sites' shared key and cached by scope until shortly before they expire.
import { randomUUID, type KeyObject } from 'node:crypto';
import { SignJWT, type JWTHeaderParameters } from 'jose';
import { createLru } from '../lib/lru.ts';
import { libtrustId, thumbprint } from './key-id.ts';
import type { KeyRing, KeySet } from './key-ring.ts';
import { algorithmsOf } from './keys.ts';
import type { Access } from './scope.ts';

/** How tokens name their key: for Distribution 2 and GitLab, for Distribution 3, or by certificate for both. */
export type TokenKeyId = 'libtrust' | 'rfc7638' | 'x5c';

/** `clock` returns ms since the epoch. */
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

/** The key of one version of the key ring, and the header of its tokens. */
interface CurrentKey {
  readonly version: number;
  readonly key: KeyObject;
  readonly header: Promise<JWTHeaderParameters>;
}

// GitLab's values: five minutes, and five seconds for a registry whose clock is behind.
const TTL = 300_000;
const NOT_BEFORE = 5;
// A token is used until this long before it expires: the request that it is for may wait in a queue.
const MARGIN = 60_000;
// Bytes of a cached token beside its text, and of a text that is not known yet.
const OVERHEAD = 256;
const GUESS = 1_024;

function currentKey(keys: KeySet, tokenKeyId: TokenKeyId): CurrentKey {
  const signing = keys.signing;
  if (!signing) throw new Error('no private key to sign tokens with');
  if (tokenKeyId === 'x5c' && signing.chain.length === 0) throw new Error('no certificate of the private key');
  return { version: keys.version, key: signing.key, header: headerFor(signing, tokenKeyId) };
}

async function headerFor(
  { key, chain }: NonNullable<KeySet['signing']>,
  tokenKeyId: TokenKeyId,
): Promise<JWTHeaderParameters> {
  const header = { typ: 'JWT', alg: algorithmsOf(key)[0]! };
  if (tokenKeyId === 'x5c') return { ...header, x5c: [...chain] };
  return { ...header, kid: tokenKeyId === 'libtrust' ? libtrustId(key) : await thumbprint(key) };
}

interface MinterOptions {
  /** Lifetime in ms of tokens for which none is given. */
  readonly ttl?: number;
  /** Overrides the cache's declared bound. */
  readonly cacheBytes?: number;
}

/** Mints tokens (Distribution spec/auth/jwt.md) with the key ring's private key. A change of keys clears its cache. */
export class Minter {
  readonly #deps: MinterDeps;
  readonly #clock: () => number;
  readonly #ttl: number;
  readonly #cache: ReturnType<typeof createLru<string, Minted>>;
  #current: CurrentKey;

  /** @throws {Error} without a private key, or without its certificate for `x5c`. */
  constructor(deps: MinterDeps, { ttl = TTL, cacheBytes }: MinterOptions = {}) {
    this.#deps = deps;
    this.#clock = deps.clock ?? Date.now;
    this.#ttl = ttl;
    this.#cache = createLru<string, Minted>('ownTokens', {
      maxBytes: cacheBytes,
      sizeOf: ({ length }) => OVERHEAD + length,
    });
    this.#current = currentKey(deps.keys.current(), deps.tokenKeyId);
  }

  /** A token with this access for `ttl` ms; with `fresh`, one that was not returned before. @throws {Error} of the key. */
  async mint(
    access: readonly Access[],
    { ttl = this.#ttl, fresh = false }: { readonly ttl?: number; readonly fresh?: boolean } = {},
  ): Promise<string> {
    this.#useCurrentKey();
    const id = JSON.stringify([ttl, access]);
    const known = this.#cache.get(id);
    if (known && (known.pending || (!fresh && this.#clock() < known.freshUntil))) return known.token;
    return this.#start(id, access, ttl);
  }

  #useCurrentKey(): void {
    const keys = this.#deps.keys.current();
    if (keys.version === this.#current.version) return;
    this.#current = currentKey(keys, this.#deps.tokenKeyId);
    this.#cache.clear();
  }

  async #sign(access: readonly Access[], issuedAt: number, expiresAt: number): Promise<string> {
    const { key, header } = this.#current;
    const entries = access.map(({ type, name, actions }) => ({ type, name, actions }));
    return new SignJWT({ access: entries })
      .setProtectedHeader(await header)
      .setIssuer(this.#deps.issuer)
      .setAudience(this.#deps.service)
      .setJti(randomUUID())
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt - NOT_BEFORE)
      .setExpirationTime(expiresAt)
      .sign(key);
  }

  #start(id: string, access: readonly Access[], ttl: number): Promise<string> {
    const issuedAt = Math.floor(this.#clock() / 1_000);
    const expiresAt = issuedAt + Math.ceil(ttl / 1_000);
    const token = this.#sign(access, issuedAt, expiresAt);
    const freshUntil = expiresAt * 1_000 - Math.min(MARGIN, ttl / 2);
    const minted: Minted = { token, length: GUESS, freshUntil, pending: true };
    this.#cache.set(id, minted);
    const isCached = (): boolean => this.#cache.peek(id) === minted;
    token.then(
      ({ length }) => {
        minted.pending = false;
        minted.length = length;
        // The cache counts an entry's size when it is set.
        if (isCached()) this.#cache.set(id, minted);
      },
      () => isCached() && this.#cache.delete(id),
    );
    return token;
  }
}
