// Layers that were requested as manifests: a digest does not show which of both it names.
import type { Digest } from '../oci/digest.ts';
import { wordsOf, type Failure } from './answer.ts';
import type { Blobs } from './blob.ts';

/**
 * Whether a request for a manifest failed because the digest is a layer's: Distribution 2.8 then answers 500, and has the
 * blob. This is inferred, so that nothing is removed because of it. `timeout` in milliseconds.
 */
export async function isLayer(
  { blobs }: { readonly blobs: Blobs },
  name: string,
  digest: Digest,
  failure: Failure,
  timeout: number,
): Promise<boolean> {
  return wordsOf(failure)?.status === 500 && (await blobs.head(name, digest, timeout)).kind === 'found';
}
