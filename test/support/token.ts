// Registry tokens, good and bad, signed with node:crypto alone so that a test can get every part of them wrong.
import { createHash, createHmac, createPublicKey, randomUUID, sign, type KeyObject } from 'node:crypto';

/** One entry of a token's `access` claim (Distribution's token specification). */
export interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

export interface TokenOverrides {
  /** Replace claims; `undefined` removes one. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Replace header fields; `undefined` removes one. `alg` decides how the token is signed (`none` leaves it unsigned). */
  readonly header?: Readonly<Record<string, unknown>>;
  /** Another private key than the sites'; for HS256 the secret's bytes. */
  readonly key?: KeyObject | Buffer;
  /** Seconds from now, negative for an expired token; 300 when absent. */
  readonly expiresIn?: number;
}

export interface TokenIssuer {
  readonly key: KeyObject;
  /** The certificate that tokens carry in the place of a key id, PEM: what Distribution 2 and 3 both take. */
  readonly certPem?: string | undefined;
  readonly issuer: string;
  readonly service: string;
}

const base32Alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? []).map((five) => base32Alphabet[Number.parseInt(five, 2)]).join('');
}

/** The key id of libtrust: 240 bits of the SHA-256 of the public key's DER, in base32, twelve groups of four. */
export function libtrustKeyId(key: KeyObject): string {
  const publicKey = key.type === 'public' ? key : createPublicKey(key);
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const text = base32(createHash('sha256').update(der).digest().subarray(0, 30));
  return (text.match(/.{4}/g) ?? []).join(':');
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function signatureOf(algorithm: unknown, key: KeyObject | Buffer, text: string): string {
  if (algorithm === 'none') return '';
  const hash = `sha${String(algorithm).slice(2)}`;
  if (Buffer.isBuffer(key)) return createHmac(hash, key).update(text).digest('base64url');
  // JWS wants the two numbers of an ECDSA signature side by side, not in DER; RSA ignores the setting.
  return sign(hash, Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
}

function algorithmOf(key: KeyObject | Buffer): string {
  if (Buffer.isBuffer(key)) return 'HS256';
  return key.asymmetricKeyType === 'ec' ? 'ES256' : 'RS256';
}

/** The fields of the header that say by which key a token is signed. */
function namedBy(key: KeyObject, certPem: string | undefined): Record<string, unknown> {
  if (certPem === undefined) return { kid: libtrustKeyId(key) };
  return { x5c: [certPem.replace(/-----[A-Z ]+-----|\s/g, '')] };
}

/** A compact JWT of exactly these claims in GitLab's form (`typ`, `alg`, libtrust `kid`), apart from the overrides. */
export function signToken(site: TokenIssuer, access: readonly Access[], overrides: TokenOverrides = {}): string {
  const { key = site.key, expiresIn = 300 } = overrides;
  const now = Math.floor(Date.now() / 1000);
  const standard = { iss: site.issuer, aud: site.service, jti: randomUUID(), iat: now, nbf: now - 5 };
  const claims = { ...standard, exp: now + expiresIn, access, ...overrides.claims };
  const named = Buffer.isBuffer(key) ? {} : namedBy(key, site.certPem);
  const header: Record<string, unknown> = { typ: 'JWT', alg: algorithmOf(key), ...named, ...overrides.header };
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${signatureOf(header['alg'], key, text)}`;
}

/** A signer of tokens for one site's registries: `tokenFor([{ type: 'repository', name, actions: ['pull'] }])`. */
export type TokenFor = (access: readonly Access[], overrides?: TokenOverrides) => string;

/** The access entry of one repository. */
export function repositoryAccess(name: string, ...actions: readonly string[]): Access {
  return { type: 'repository', name, actions };
}
