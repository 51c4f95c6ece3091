// Verifies clients' tokens with the configured keys alone, whatever keys a token names or holds.
import { hash, type KeyObject } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose';
import { createLru } from '../lib/lru.ts';
import { createSingleFlight } from '../lib/single-flight.ts';
import type { KeyRing, KeySet } from './key-ring.ts';
import { algorithmsOf } from './keys.ts';
import type { Access } from './scope.ts';

/** The claims of a valid token; times in ms since the epoch. */
export interface VerifiedToken {
  readonly access: readonly Access[];
  readonly expiresAt: number;
  readonly subject?: string;
  /** The user name in GitLab's own claim, where that is not the subject. */
  readonly user?: string;
  /** One share for all tokens of a subject; a token without a subject has its own. */
  readonly share: string;
}

/** Why a token is not accepted; for the log, never for the client. */
type InvalidTokenReason =
  | 'too large'
  | 'malformed'
  | 'algorithm not accepted'
  | 'signed by no key of ours'
  | 'other issuer'
  | 'other audience'
  | 'expired'
  | 'not valid yet'
  | 'malformed or missing claim';

/** A token is not accepted. The error holds neither the token nor its claims, which may contain a person's name. */
export class InvalidToken extends Error {
  readonly reason: InvalidTokenReason;

  constructor(reason: InvalidTokenReason) {
    super(`invalid token: ${reason}`);
    this.name = 'InvalidToken';
    this.reason = reason;
  }
}

/** `clock` returns ms since the epoch. */
interface VerifierDeps {
  readonly keys: Pick<KeyRing, 'current'>;
  readonly issuer: string;
  readonly audience: string;
  readonly clock?: () => number;
}

type Checked = VerifiedToken & { readonly notBefore: number };

// nginx's limit for a header (`large_client_header_buffers`).
const TOKEN_MAX = 32 * 1024;
// Distribution's leeway for clocks that differ, in seconds.
const LEEWAY = 60;

const BY_CLAIM: Partial<Record<string, InvalidTokenReason>> = {
  iss: 'other issuer',
  aud: 'other audience',
  nbf: 'not valid yet',
};

function reasonOf(error: unknown): InvalidTokenReason {
  if (error instanceof errors.JWTExpired) return 'expired';
  if (!(error instanceof errors.JWTClaimValidationFailed)) return 'malformed';
  const wrong = error.reason === 'check_failed' ? BY_CLAIM[error.claim] : undefined;
  return wrong ?? 'malformed or missing claim';
}

function checkedEntry(entry: unknown): Access | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined;
  const { type, name, actions } = entry as Partial<Record<keyof Access, unknown>>;
  if (typeof type !== 'string' || typeof name !== 'string' || !Array.isArray(actions)) return undefined;
  return actions.every((action) => typeof action === 'string') ? { type, name, actions } : undefined;
}

/**
 * The name in GitLab's own claim: `user` is another token, whose `user_info` names users, and deploy tokens that have no
 * subject. It needs no verification, since it is part of a verified token.
 */
function gitLabUser(claim: unknown): string | undefined {
  if (typeof claim !== 'string') return undefined;
  try {
    const { user_info: info } = decodeJwt<{ user_info?: { username?: unknown } | null }>(claim);
    return typeof info?.username === 'string' && info.username !== '' ? info.username : undefined;
  } catch {
    return undefined;
  }
}

function checkedClaims({ access, exp, nbf, sub, user: claim }: JWTPayload, id: string): Checked {
  const user = gitLabUser(claim);
  const entries = Array.isArray(access) ? access.map(checkedEntry) : [];
  return {
    access: entries.filter((entry) => entry !== undefined),
    expiresAt: exp! * 1_000,
    notBefore: (nbf ?? 0) * 1_000,
    ...(typeof sub === 'string' ? { subject: sub } : {}),
    ...(user === undefined || user === sub ? {} : { user }),
    share: typeof sub === 'string' && sub !== '' ? `subject ${sub}` : `token ${id}`,
  };
}

/** The trusted keys whose type fits the token's algorithm. None fits `none` or HMAC. */
function candidates(token: string, keys: KeySet): { alg: string; trusted: KeyObject[] } {
  let alg: string | undefined;
  try {
    ({ alg } = decodeProtectedHeader(token));
  } catch {
    throw new InvalidToken('malformed');
  }
  const trusted = keys.trusted.filter((key) => algorithmsOf(key).some((algorithm) => algorithm === alg));
  if (alg === undefined || trusted.length === 0) throw new InvalidToken('algorithm not accepted');
  return { alg, trusted };
}

/** `cacheBytes` overrides the cache's declared bound. */
export interface VerifierOptions {
  readonly cacheBytes?: number;
}

// Objects and short texts take about four times the memory of their JSON.
const HEAP_PER_JSON = 4;

/** Verifies tokens with the key ring's trusted keys. Valid tokens are cached until the keys change. */
export class Verifier {
  readonly #deps: VerifierDeps;
  readonly #clock: () => number;
  // Valid tokens alone: a flood of invalid ones evicts none.
  readonly #valid: ReturnType<typeof createLru<string, Checked>>;
  readonly #checks = createSingleFlight<Checked>();
  #keys: KeySet;

  constructor(deps: VerifierDeps, { cacheBytes }: VerifierOptions = {}) {
    this.#deps = deps;
    this.#clock = deps.clock ?? Date.now;
    this.#keys = deps.keys.current();
    this.#valid = createLru<string, Checked>('clientTokens', {
      maxBytes: cacheBytes,
      sizeOf: (checked) => HEAP_PER_JSON * Buffer.byteLength(JSON.stringify(checked)),
    });
  }

  /** @throws {InvalidToken} */
  async verify(token: string): Promise<VerifiedToken> {
    if (token.length > TOKEN_MAX) throw new InvalidToken('too large');
    const keys = this.#currentKeys();
    const id = hash('sha256', token);
    const check = (): Promise<Checked> => this.#check(id, token, keys);
    const checked = this.#valid.get(id) ?? (await this.#checks(`${keys.version} ${id}`, check));
    this.#assertTime(checked);
    return checked;
  }

  #currentKeys(): KeySet {
    const current = this.#deps.keys.current();
    if (current.version !== this.#keys.version) {
      this.#keys = current;
      this.#valid.clear();
    }
    return this.#keys;
  }

  async #check(id: string, token: string, keys: KeySet): Promise<Checked> {
    const { alg, trusted } = candidates(token, keys);
    for (const key of trusted) {
      const checked = await this.#checkWith(id, token, alg, key);
      if (!checked) continue;
      if (keys === this.#keys) this.#valid.set(id, checked);
      return checked;
    }
    throw new InvalidToken('signed by no key of ours');
  }

  /** The token's claims; undefined where it is not signed with this key. @throws {InvalidToken} */
  async #checkWith(id: string, token: string, alg: string, key: KeyObject): Promise<Checked | undefined> {
    const { issuer, audience } = this.#deps;
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: [alg],
        issuer,
        audience,
        requiredClaims: ['exp'],
        clockTolerance: LEEWAY,
        currentDate: new Date(this.#clock()),
      });
      return checkedClaims(payload, id);
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) return undefined;
      // Not as the cause: jose's errors hold the claims.
      throw new InvalidToken(reasonOf(error));
    }
  }

  #assertTime({ expiresAt, notBefore }: Checked): void {
    const now = this.#clock();
    if (now >= expiresAt + LEEWAY * 1_000) throw new InvalidToken('expired');
    if (now < notBefore - LEEWAY * 1_000) throw new InvalidToken('not valid yet');
  }
}
