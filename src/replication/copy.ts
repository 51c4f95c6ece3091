// Copying: what a reference names, with all that it points at, from the primary into the secondary.
import type { Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import type { Reference } from '../oci/reference.ts';
import { subjectOfTag } from '../oci/referrer-tag.ts';
import type { Answer } from '../registry/answer.ts';
import type { ManifestHead } from '../registry/manifest.ts';
import { BlobCopier, type BlobCopyParts } from './blob-copy.ts';
import { copyFailure, CopyFailed, Unsupported } from './copy-failure.ts';
import { ImageCopy, type ImageCopyContext } from './image-copy.ts';
import { Refusals } from './refusal.ts';
import { ANSWER_TIMEOUT, type Site } from './site.ts';
import { Turns } from './turns.ts';

/** How a copy ended. */
export type CopyResult =
  /** The secondary answered with this digest of the primary's; `bytes` of blobs came from the primary for it. */
  | {
      readonly kind: 'synced';
      readonly digest: Digest;
      readonly bytes: number;
      /** It and all the manifests that it points at. */
      readonly manifests: readonly Digest[];
    }
  /** The primary does not have it (any more). */
  | { readonly kind: 'gone' }
  /** The secondary cannot hold it, now or later. */
  | { readonly kind: 'unsupported'; readonly reason: string; readonly digest?: Digest };

/** What copying is made of. */
export interface CopyParts extends BlobCopyParts {
  /** A manifest's bytes where they are in memory: they need not be fetched again. */
  readonly known?: (name: string, digest: Digest) => Manifest | undefined;
}

// How often a copy begins again because its tag moved meanwhile.
const MOVES_MAX = 3;

/** What a reference means at the primary, once that is known. */
interface Meaning {
  digest?: Digest;
}

/** Copies images. */
export class Copier {
  readonly #context: ImageCopyContext;

  constructor(
    site: Pick<Site, 'primary' | 'secondary'>,
    parts: CopyParts,
    { parallel = 4 }: { parallel?: number } = {},
  ) {
    const { known = () => undefined, damage } = parts;
    const blobs = new BlobCopier(site, parts);
    const { primary, secondary } = site;
    this.#context = {
      primary,
      secondary,
      known,
      blobs,
      parallel,
      damage,
      refusals: new Refusals(),
      turns: new Turns(),
    };
  }

  /** Copies what a reference names. @throws CopyFailed, of which `Waiting` for what may still come to the primary */
  async copy(name: string, reference: Reference): Promise<CopyResult> {
    const meaning: Meaning = {};
    try {
      if ('tag' in reference) return await this.#copyTag(name, reference.tag, meaning);
      meaning.digest = reference.digest;
      return await this.#copyDigest(name, reference.digest);
    } catch (error) {
      if (error instanceof Unsupported) return { kind: 'unsupported', reason: error.message, ...meaning };
      throw error;
    }
  }

  async #copyDigest(name: string, digest: Digest): Promise<CopyResult> {
    const image = new ImageCopy(this.#context, name);
    const manifest = await image.copyTree(digest);
    if (!manifest) return { kind: 'gone' };
    await image.put({ digest }, manifest);
    return { kind: 'synced', digest, ...image.copied };
  }

  /** A tag may move while it is copied: what it means in the end is what the secondary has to have. */
  async #copyTag(name: string, tag: string, meaning: Meaning): Promise<CopyResult> {
    for (let moves = 0; ; moves += 1) {
      const head = await this.#head(name, tag);
      if (head.kind === 'missing') return { kind: 'gone' };
      if (head.kind !== 'found') throw copyFailure(`tag ${tag}`, head, 'primary');
      const { digest } = head.value;
      meaning.digest = digest;
      const result = await this.#copyTagAs(name, tag, digest, moves === MOVES_MAX);
      if (result) return result;
    }
  }

  /** Copies the tag as one digest; undefined where it is another by now. @throws CopyFailed for that if `isLast` */
  async #copyTagAs(name: string, tag: string, digest: Digest, isLast: boolean): Promise<CopyResult | undefined> {
    const image = new ImageCopy(this.#context, name);
    const manifest = await image.copyTree(digest, { tag });
    // A signature or SBOM that names its subject only in its tag: alone it is worth nothing.
    const subject = manifest && subjectOfTag(tag);
    if (subject) await image.copyChild(subject, 1);
    const isStill = (head: Answer<ManifestHead>): boolean => head.kind === 'found' && head.value.digest === digest;
    const isUnmoved = isStill(await this.#head(name, tag));
    if (manifest && isUnmoved) {
      await image.put({ tag }, manifest);
      const after = await this.#head(name, tag);
      if (isStill(after)) return { kind: 'synced', digest, ...image.copied };
      if (after.kind !== 'found' && after.kind !== 'missing') throw copyFailure(`tag ${tag}`, after, 'primary');
    }
    if (!isLast) return undefined;
    const isWithheld = !manifest && isUnmoved;
    const reason = isWithheld ? `the primary names ${digest}, but does not give it` : 'it keeps moving';
    throw new CopyFailed(`tag ${tag}`, reason);
  }

  #head(name: string, tag: string): Promise<Answer<ManifestHead>> {
    return this.#context.primary.manifests.head(name, { tag }, ANSWER_TIMEOUT);
  }
}
