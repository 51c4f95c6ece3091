// Where a blob belongs: bytes are given for a repository, never for a digest alone.
import type { Digest } from '../oci/digest.ts';

/** A digest together with its repository. */
export interface Place {
  readonly name: string;
  readonly digest: Digest;
}
