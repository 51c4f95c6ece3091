// Key ids of tokens: registries compute different ids of the same key.
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK } from 'jose';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

function base32(bytes: Uint8Array): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? []).map((five) => BASE32[Number.parseInt(five, 2)]).join('');
}

function publicHalf(key: KeyObject): KeyObject {
  return key.type === 'public' ? key : createPublicKey(key);
}

/** The key id of Distribution 2 and GitLab: 240 bits of the SHA-256 of its SubjectPublicKeyInfo, in base32. */
export function libtrustId(key: KeyObject): string {
  const der = publicHalf(key).export({ type: 'spki', format: 'der' });
  const hash = createHash('sha256').update(der).digest();
  return base32(hash.subarray(0, 30)).match(/.{4}/g)!.join(':');
}

/** The key id of Distribution 3: the JWK thumbprint (RFC 7638, SHA-256, base64url). */
export async function thumbprint(key: KeyObject): Promise<string> {
  return calculateJwkThumbprint(await exportJWK(publicHalf(key)));
}
