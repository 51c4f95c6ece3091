// Reads keys from PEM files: the private key that signs our tokens, and the public keys that verify clients' tokens.
import { createPrivateKey, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';

/** The algorithms that registries accept: RSA PKCS#1 v1.5, and ECDSA by the key's curve (RFC 7518 section 3.1). */
type SignatureAlgorithm = 'RS256' | 'RS384' | 'RS512' | 'ES256' | 'ES384' | 'ES512';

const BY_CURVE: Partial<Record<string, SignatureAlgorithm>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

// RFC 7518 section 3.3; jose refuses shorter ones too, but only at the first token.
const RSA_BITS_MIN = 2048;

interface Block {
  readonly label: string;
  readonly pem: string;
}

function blocksOf(text: string): Block[] {
  return [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----[^]*?-----END \1-----/g)].map(([pem, label]) => ({
    label: label!,
    pem,
  }));
}

/** The algorithms of a key, the preferred one first; none for a key that registries do not accept. */
export function algorithmsOf(key: KeyObject): readonly SignatureAlgorithm[] {
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa') return modulusLength < RSA_BITS_MIN ? [] : ['RS256', 'RS384', 'RS512'];
  const algorithm = key.asymmetricKeyType === 'ec' ? BY_CURVE[namedCurve] : undefined;
  return algorithm ? [algorithm] : [];
}

function usable(key: KeyObject): KeyObject {
  if (algorithmsOf(key).length > 0) return key;
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  const kind = [key.asymmetricKeyType, namedCurve, modulusLength && `${modulusLength} bits`].filter(Boolean).join(', ');
  throw new Error(`a key of another kind (${kind}): RSA of 2048 bits or more, or EC P-256, P-384 or P-521 is needed`);
}

// Not `equals`: between keys of different types it leaves an OpenSSL error that makes the next read fail.
function isSameKey(one: KeyObject, other: KeyObject): boolean {
  const [first, second] = [one, other].map((key) => key.export({ type: 'spki', format: 'der' }));
  return first!.equals(second!);
}

function parsed<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new Error(`${what} cannot be read`, { cause });
  }
}

/**
 * The private key of a PEM file: PKCS#1, PKCS#8 or SEC1; RSA or EC.
 * @throws {Error} when there is none, it is encrypted, broken, or of a kind that registries do not accept.
 */
export function readPrivateKey(text: string): KeyObject {
  const blocks = blocksOf(text);
  const block = blocks.find(({ label }) => label.endsWith('PRIVATE KEY'));
  if (!block) {
    const labels = blocks.map(({ label }) => label.toLowerCase()).join(', ');
    throw new Error(labels ? `no private key: holds ${labels}` : 'no private key: not a PEM file');
  }
  if (block.label.startsWith('ENCRYPTED') || block.pem.includes('Proc-Type: 4,ENCRYPTED')) {
    throw new Error('the private key is encrypted: one without a passphrase is needed');
  }
  return usable(parsed('the private key', () => createPrivateKey(block.pem)));
}

function certificatesOf(text: string): X509Certificate[] {
  return blocksOf(text)
    .filter(({ label }) => label === 'CERTIFICATE')
    .map(({ pem }, index) => parsed(`certificate ${index + 1}`, () => new X509Certificate(pem)));
}

/**
 * The public keys of a PEM file of certificates and public keys, as a registry's `rootcertbundle` holds them.
 * Of certificates only the keys are used: dates and issuers are not checked, as in Distribution for a `kid`.
 * @throws {Error} when there is none, or one is broken or of a kind that registries do not accept.
 */
export function readTrustedKeys(text: string): KeyObject[] {
  const bare = blocksOf(text)
    .filter(({ label }) => label === 'PUBLIC KEY' || label === 'RSA PUBLIC KEY')
    .map(({ pem }, index) => parsed(`public key ${index + 1}`, () => createPublicKey(pem)));
  const keys = [...certificatesOf(text).map(({ publicKey }) => publicKey), ...bare].map(usable);
  if (keys.length === 0) throw new Error('no certificate and no public key');
  return keys.filter((key, index) => keys.findIndex((other) => isSameKey(other, key)) === index);
}

/**
 * A key's certificate and its issuers, as far as the PEM file has them: base64 of the DER, for a token's `x5c` (RFC 7515
 * section 4.1.6). Empty where no certificate is the key's.
 */
export function certificateChain(text: string, publicKey: KeyObject): string[] {
  const others = certificatesOf(text);
  const chain: X509Certificate[] = [];
  let next = others.findIndex((certificate) => isSameKey(certificate.publicKey, publicKey));
  while (next >= 0) {
    const [certificate] = others.splice(next, 1);
    chain.push(certificate!);
    next = others.findIndex((other) => certificate!.checkIssued(other) && certificate!.verify(other.publicKey));
  }
  return chain.map(({ raw }) => raw.toString('base64'));
}
