// Docker's schema 1: a manifest that carries its own signature.
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { digestOf, type Blob } from './content.ts';
import { mediaTypes, type Manifest } from './image.ts';
import { libtrustKeyId } from './token.ts';

export interface Schema1Parts {
  /** Must be the repository that it is pushed to. */
  readonly name: string;
  /** Must be the tag that it is pushed to. */
  readonly tag: string;
  readonly layers: readonly Blob[];
}

const encode = (bytes: Buffer | string): string => Buffer.from(bytes).toString('base64url');

function documentOf({ name, tag, layers }: Schema1Parts): object {
  const history = layers.map((_, nth) => ({ v1Compatibility: JSON.stringify({ id: String(nth).padStart(64, '0') }) }));
  const fsLayers = layers.map(({ digest }) => ({ blobSum: digest }));
  return { schemaVersion: 1, name, tag, architecture: 'amd64', fsLayers, history };
}

function signatureOf(payload: string, formatLength: number): object {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { crv, kty, x, y } = createPublicKey(privateKey).export({ format: 'jwk' });
  const formatTail = encode(payload.slice(formatLength));
  const protectedText = encode(JSON.stringify({ formatLength, formatTail, time: '2024-01-01T00:00:00Z' }));
  const signed = Buffer.from(`${protectedText}.${encode(payload)}`);
  const signature = sign('sha256', signed, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const header = { jwk: { crv, kid: libtrustKeyId(privateKey), kty, x, y }, alg: 'ES256' };
  return { header, signature: encode(signature), protected: protectedText };
}

/**
 * A signed schema 1 manifest (`prettyjws`), signed with a fresh ES256 key. Its digest is that of the payload, without
 * the signatures, and not that of its bytes. A registry keeps the payload and gives it out under its own signature.
 */
export function schema1(parts: Schema1Parts): Manifest {
  const document = documentOf(parts);
  const payload = JSON.stringify(document, undefined, 3);
  const signatures = [signatureOf(payload, payload.lastIndexOf('\n}'))];
  const bytes = Buffer.from(JSON.stringify({ ...document, signatures }, undefined, 3));
  const digest = digestOf(payload);
  return { mediaType: mediaTypes.schema1, bytes, digest, size: bytes.length, blobs: parts.layers, children: [] };
}
