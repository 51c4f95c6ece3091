// What ends a transfer whose bytes are wrong.
import type { Digest } from '../oci/digest.ts';

/** The bytes did not have the digest that they were asked by. */
export class DigestMismatch extends Error {
  constructor(digest: Digest) {
    super(`the primary's bytes are not ${digest}`);
    this.name = 'DigestMismatch';
  }
}

/** More bytes came than the blob can have. */
export class Overlong extends Error {
  constructor(bytes: number) {
    super(`the primary gave more than the ${bytes} bytes that the blob can have`);
    this.name = 'Overlong';
  }
}
