// Layers that are taken for manifests: a digest does not tell which of both it names.
import type { Digest } from '../oci/digest.ts';
import { wordsOf, type Failure } from './answer.ts';
import type { Blobs } from './blob.ts';

/**
 * Whether a registry failed to give a manifest since the digest is that of a layer: Distribution 2.8 answers 500 then,
 * and has the blob. That it is no manifest is inferred, and not said: nothing is removed for it. `timeout` in milliseconds.
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
