// The errors that end a transfer.
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

/** The source could not be read to its end; `cause` says why. */
export class SourceFailed extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'SourceFailed';
  }
}

/** A body was closed since others wait for its slot. */
export class GaveWay extends Error {}
