// Refusals: what the secondary's answer to the PUT of a manifest means. The registry's own words decide.
import { createLru } from '../lib/lru.ts';
import { isForeign } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { linksOf, type Manifest } from '../oci/manifest.ts';
import { isIndex, isSchema1 } from '../oci/media-types.ts';
import { failureText, wordsOf, type Failure } from '../registry/answer.ts';
import type { Said } from '../registry/said.ts';

/**
 * `for good`: the same bytes will be refused again. `waits`: the manifest that it points at may still come to the
 * primary. `for now`: another attempt may succeed.
 */
export type Refusal =
  | { readonly kind: 'for good'; readonly reason: string }
  | { readonly kind: 'waits'; readonly for: Digest }
  | { readonly kind: 'for now' };

/** A manifest that the secondary refused; `absent` is what it points at and the primary does not have. */
export interface Refused {
  readonly name: string;
  readonly manifest: Manifest;
  readonly failure: Failure;
  readonly absent: readonly Digest[];
}

// Of Distribution (the first five), of GitLab's registry, and of others: the manifest itself is at fault.
const FOR_GOOD = new Set([
  'MANIFEST_INVALID',
  'MANIFEST_UNVERIFIED',
  'DIGEST_INVALID',
  'SIZE_INVALID',
  'UNSUPPORTED',
  'MANIFEST_REFERENCE_LIMIT',
  'MANIFEST_PAYLOAD_SIZE_LIMIT',
  'NAME_INVALID',
  'TAG_INVALID',
]);
// Too large, of a type that it does not take, or not to be processed.
const STATUS_FOR_GOOD = new Set([413, 415, 422]);

// A 500 does not say what is at fault. It is the manifest if the same bytes were refused so often while the repository
// took another manifest: broken storage takes none.
const REPEATED = 6;
// Bytes of a count.
const COUNT = 32;

const SCHEMA1 = 'the secondary takes no Docker schema 1 manifests (compatibility.schema1.enabled)';
const FOREIGN = 'the secondary takes no layers that have URLs (validation.manifests.urls.allow)';
const EMPTY = 'the secondary takes no index without manifests';
const REFUSED = 'the secondary does not take this manifest';

/** What the manifest has that a registry is known to answer 500 to; undefined for nothing. */
function oddityOf(manifest: Manifest, codes: readonly string[]): string | undefined {
  if (isSchema1(manifest.mediaType)) return SCHEMA1;
  const { blobs, manifests } = linksOf(manifest);
  // Distribution 2.8: an error a URL, then that of the layer.
  if (codes.includes('MANIFEST_BLOB_UNKNOWN') && blobs.some(isForeign)) return FOREIGN;
  // GitLab's registry with a database.
  if (isIndex(manifest.mediaType) && blobs.length + manifests.length === 0) return EMPTY;
  return undefined;
}

function isRefusal({ status }: Said): boolean {
  return status >= 400 && status < 500 && status !== 401 && status !== 403 && status !== 429;
}

/** Reads refusals, and remembers those of which a 500 says nothing. */
export class Refusals {
  /** By repository, how many manifests it took. */
  readonly #taken = createLru<string, number>('takenManifests');
  readonly #counts = createLru<string, { readonly takenBefore: number; times: number }>('refusedManifests', {
    sizeOf: () => COUNT,
  });

  /** A repository took a manifest. */
  accepted(name: string): void {
    this.#taken.set(name, this.#takenBy(name) + 1);
  }

  read({ name, manifest, failure, absent }: Refused): Refusal {
    const said = wordsOf(failure);
    // Only a registry's own answer says something of the manifest.
    if (!said || said.errors.length === 0) return { kind: 'for now' };
    const words = failureText(failure);
    const codes = said.errors.map(({ code }) => code);
    const forGood = (why: string): Refusal => ({ kind: 'for good', reason: `${why}: ${words}` });
    // A registry that does not take the type says so of a manifest whose parts are missing, too.
    if (absent[0] && isRefusal(said) && !/media ?type/i.test(words)) return { kind: 'waits', for: absent[0] };
    if (isRefusal(said) && (STATUS_FOR_GOOD.has(said.status) || codes.every((code) => FOR_GOOD.has(code)))) {
      return forGood(isSchema1(manifest.mediaType) ? SCHEMA1 : REFUSED);
    }
    if (said.status !== 500) return { kind: 'for now' };
    const oddity = oddityOf(manifest, codes);
    if (oddity !== undefined) return forGood(oddity);
    return this.#isRepeated(name, manifest.digest) ? forGood(REFUSED) : { kind: 'for now' };
  }

  #takenBy(name: string): number {
    return this.#taken.get(name) ?? 0;
  }

  /** Whether the same bytes were refused often enough, and others not. */
  #isRepeated(name: string, digest: Digest): boolean {
    const key = `${name}@${digest}`;
    const count = this.#counts.get(key) ?? { takenBefore: this.#takenBy(name), times: 0 };
    count.times += 1;
    this.#counts.set(key, count);
    return count.times >= REPEATED && this.#takenBy(name) > count.takenBefore;
  }
}
