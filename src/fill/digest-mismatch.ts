// What ends a transfer whose bytes are wrong.
import type { Digest } from '../oci/digest.ts';

/** The bytes did not have the digest that they were asked by. */
export class DigestMismatch extends Error {
  constructor(digest: Digest) {
    super(`the primary's bytes are not ${digest}`);
    this.name = 'DigestMismatch';
  }
}
