// Clients' tokens: checked against the configured keys and nothing that the token itself brings along.
import { hash, type KeyObject } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose';
import { createLru } from '../lib/lru.ts';
import type { KeyRing, KeySet } from './key-ring.ts';
import { algorithmsOf } from './keys.ts';
import type { Access } from './scope.ts';

/** What a token that was found good says; times are in ms since the epoch. */
export interface VerifiedToken {
  readonly access: readonly Access[];
  readonly expiresAt: number;
  readonly subject?: string;
  /** Whom GitLab names in a claim of its own, where that is not the subject. */
  readonly user?: string;
  /** The same for all tokens of one subject; of a token without a subject, of this token alone. */
  readonly share: string;
}

/** Why a token is not accepted; for the log, never for the client. */
export type InvalidTokenReason =
  | 'too large'
  | 'malformed'
  | 'algorithm not accepted'
  | 'signed by no key of ours'
  | 'other issuer'
  | 'other audience'
  | 'expired'
  | 'not valid yet'
  | 'malformed or missing claim';

/** A token that is not accepted. It holds neither the token nor its claims: those may carry a person's name. */
export class InvalidToken extends Error {
  readonly reason: InvalidTokenReason;

  constructor(reason: InvalidTokenReason) {
    super(`invalid token: ${reason}`);
    this.name = 'InvalidToken';
    this.reason = reason;
  }
}

/** Checks tokens. */
export interface Verifier {
  /** @throws {InvalidToken} */
  verify(token: string): Promise<VerifiedToken>;
}

/** What a verifier is made of; `clock` gives ms since the epoch. */
export interface VerifierDeps {
  readonly keys: Pick<KeyRing, 'current'>;
  readonly issuer: string;
  readonly audience: string;
  readonly clock?: () => number;
}

type Checked = VerifiedToken & { readonly notBefore: number };

// What a header that nginx lets through can hold (`large_client_header_buffers`).
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
 * GitLab's own claim: `user` holds another token with `user_info`, which names users, and deploy tokens, too, that have no
 * subject. What stands in a token that was verified needs no verification of its own.
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

/** Keys whose own type goes with the algorithm that the token names; that makes `none` and HMAC no algorithms at all. */
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

/** Knobs: bytes of what is remembered, instead of those that are declared. */
export interface VerifierOptions {
  readonly cacheBytes?: number;
}

// Objects and short texts take about four times the memory of their JSON.
const HEAP_PER_JSON = 4;

/** A verifier of the ring's trusted keys. What it found good it remembers, until the keys change. */
export function createVerifier(deps: VerifierDeps, options: VerifierOptions = {}): Verifier {
  const { keys, issuer, audience, clock = Date.now } = deps;
  // Kept apart from those under way, so that a flood of bad tokens cannot drive good ones out.
  const good = createLru<string, Checked>('clientTokens', {
    ...(options.cacheBytes === undefined ? {} : { maxBytes: options.cacheBytes }),
    sizeOf: (checked) => HEAP_PER_JSON * Buffer.byteLength(JSON.stringify(checked)),
  });
  const underWay = new Map<string, Promise<Checked>>();
  let current = keys.current();

  function useCurrentKeys(): KeySet {
    const now = keys.current();
    if (now.version !== current.version) {
      current = now;
      good.clear();
      underWay.clear();
    }
    return current;
  }

  async function checkWith(id: string, token: string, alg: string, key: KeyObject): Promise<Checked | undefined> {
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: [alg],
        issuer,
        audience,
        requiredClaims: ['exp'],
        clockTolerance: LEEWAY,
        currentDate: new Date(clock()),
      });
      return checkedClaims(payload, id);
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) return undefined;
      // Not as the cause: jose's errors hold the claims.
      throw new InvalidToken(reasonOf(error));
    }
  }

  async function check(id: string, token: string, keySet: KeySet): Promise<Checked> {
    const { alg, trusted } = candidates(token, keySet);
    for (const key of trusted) {
      const checked = await checkWith(id, token, alg, key);
      if (!checked) continue;
      if (keySet === current) good.set(id, checked);
      return checked;
    }
    throw new InvalidToken('signed by no key of ours');
  }

  function join(id: string, token: string, keySet: KeySet): Promise<Checked> {
    const running = underWay.get(id);
    if (running) return running;
    const started = check(id, token, keySet).finally(() => {
      if (underWay.get(id) === started) underWay.delete(id);
    });
    underWay.set(id, started);
    return started;
  }

  function assertTime({ expiresAt, notBefore }: Checked): void {
    const now = clock();
    if (now >= expiresAt + LEEWAY * 1_000) throw new InvalidToken('expired');
    if (now < notBefore - LEEWAY * 1_000) throw new InvalidToken('not valid yet');
  }

  return {
    async verify(token) {
      if (token.length > TOKEN_MAX) throw new InvalidToken('too large');
      const keySet = useCurrentKeys();
      const id = hash('sha256', token);
      const checked = good.get(id) ?? (await join(id, token, keySet));
      assertTime(checked);
      return checked;
    },
  };
}
