// Digests: the names of content. Parsing, and hashing with the algorithm that the digest itself names.
import { createHash, type Hash } from 'node:crypto';

/** A validated digest, `<algorithm>:<lower-case hex>` (OCI image-spec, descriptor.md#digests). */
export type Digest = `sha256:${string}` | `sha512:${string}`;

/** The algorithms that registries store by (OCI image-spec, descriptor.md#registered-algorithms). */
export type DigestAlgorithm = 'sha256' | 'sha512';

const GRAMMAR = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Whether `text` is a digest of a registered algorithm with the right length and case. */
export function isDigest(text: string): text is Digest {
  return GRAMMAR.test(text);
}

/** Returns `text` as a digest, or undefined when it is none. */
export function parseDigest(text: unknown): Digest | undefined {
  return typeof text === 'string' && isDigest(text) ? text : undefined;
}

/** The algorithm that a digest names. */
export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** The hex part of a digest. */
export function hexOf(digest: Digest): string {
  return digest.slice(7);
}

/** A running hash of the algorithm that `digest` names; see {@link matches}. */
export function hasherFor(digest: Digest): Hash {
  return createHash(algorithmOf(digest));
}

/** Whether the bytes fed to `hash` have this digest. Ends the hash. */
export function matches(digest: Digest, hash: Hash): boolean {
  return hash.digest('hex') === hexOf(digest);
}

/** The digest of bytes, sha256 unless told. */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}
