// Checks of key and certificate files for the doctor: whether they belong together, and until when they are valid.
import { createPublicKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { KeyFiles } from './key-ring.ts';
import { certificateChain, readPrivateKey, readTrustedKeys } from './keys.ts';

/** What a certificate file is to a key. */
interface CertificateFacts {
  /** Whether it holds the public half of the key. */
  readonly isOfKey: boolean;
  /** The validity (ms since the epoch) of the key's own certificate; undefined for a bare public key. */
  readonly valid?: { readonly from: number; readonly to: number };
}

/** Compares a certificate file with the key file. @throws {Error} when one of them cannot be read. */
export function compareKeyFiles({ keyFile, certFile }: Required<KeyFiles>): CertificateFacts {
  const publicKey = createPublicKey(readPrivateKey(readFileSync(keyFile!, 'utf8')));
  const text = readFileSync(certFile!, 'utf8');
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const isOfKey = readTrustedKeys(text).some((key) => key.export({ type: 'spki', format: 'der' }).equals(der));
  const [own] = certificateChain(text, publicKey);
  if (own === undefined) return { isOfKey };
  const { validFrom, validTo } = new X509Certificate(Buffer.from(own, 'base64'));
  return { isOfKey, valid: { from: Date.parse(validFrom), to: Date.parse(validTo) } };
}
