// Copying one blob: linked from another repository of the secondary, or brought from the primary.
import type { Filler } from '../fill/filler.ts';
import type { Store } from '../fill/store.ts';
import { isForeign, type Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { BlobLocations } from './blob-locations.ts';
import { copyFailure, CopyFailed, SecondaryReadOnly, Unsupported } from './copy-failure.ts';
import type { Damage } from './damage.ts';
import { ANSWER_TIMEOUT, type Site } from './site.ts';
import { Turns } from './turns.ts';

/** What blobs are copied by; `filler` is the one that clients read through. */
export interface BlobCopyParts {
  readonly filler: Pick<Filler, 'fill'>;
  readonly store: Pick<Store, 'has'>;
  readonly locations?: BlobLocations;
  /** Knows the damage that an upload cannot repair; without it only the end of a blob is looked at. */
  readonly damage?: Damage;
}

/** Copies blobs, each digest once at a time: what one copy brought the next one finds. */
export class BlobCopier {
  readonly #primary: Site['primary'];
  readonly #parts: BlobCopyParts;
  readonly #turns = new Turns();

  constructor({ primary }: Pick<Site, 'primary'>, parts: BlobCopyParts) {
    this.#primary = primary;
    this.#parts = parts;
  }

  /** Notes that a repository is about to have blobs: whatever is stored is known, whenever this process ends. */
  async note(name: string, digests: readonly Digest[]): Promise<void> {
    await this.#parts.locations?.note(name, digests);
  }

  /** Copies a blob; answers how many bytes came from the primary for it. @throws CopyFailed @throws Unsupported */
  copy(name: string, blob: Descriptor): Promise<number> {
    return this.#turns.take(blob.digest, () => this.#copyNow(name, blob));
  }

  async #copyNow(name: string, blob: Descriptor): Promise<number> {
    const { digest, size = 0 } = blob;
    const { locations, damage } = this.#parts;
    if (await this.#isWhole(name, blob)) return 0;
    if (isForeign(blob) && !(await this.#isAtPrimary(name, digest))) return 0;
    const isLinked = await locations?.link(name, digest);
    if (!isLinked) await this.#fill(name, digest);
    // An upload leaves an existing file as it is, also where its bytes are wrong.
    if (damage && !(await this.#isWhole(name, blob))) {
      throw new CopyFailed(`blob ${digest}`, 'the secondary does not give it back after an upload');
    }
    return isLinked ? 0 : size;
  }

  async #fill(name: string, digest: Digest): Promise<void> {
    const answer = await this.#parts.filler.fill(name, digest, 'background');
    // A registry in maintenance answers 405 to writes; a repository that is not stored is not copied.
    if (answer.kind === 'unsupported') throw new SecondaryReadOnly(`blob ${digest}`);
    if (answer.kind === 'too-large') throw new Unsupported(`blob ${digest} is larger than GEO_BLOB_MAX`);
    if (answer.kind !== 'found') throw copyFailure(`blob ${digest}`, answer, 'primary');
  }

  /** Whether the secondary has the right bytes. @throws CopyFailed where it has wrong ones, which no upload replaces */
  async #isWhole(name: string, blob: Descriptor): Promise<boolean> {
    const { store, damage } = this.#parts;
    if (damage) return (await damage.settle(name, blob)) === 'whole';
    const answer = await store.has(name, blob.digest, blob.size);
    // A secondary that does not say takes no upload either: nothing is fetched in vain.
    if (answer.kind !== 'found') throw copyFailure(`blob ${blob.digest}`, answer, 'secondary');
    return answer.value;
  }

  /** The primary need not have a foreign layer. */
  async #isAtPrimary(name: string, digest: Digest): Promise<boolean> {
    const head = await this.#primary.blobs.head(name, digest, ANSWER_TIMEOUT);
    if (head.kind !== 'found' && head.kind !== 'missing') throw copyFailure(`blob ${digest}`, head, 'primary');
    return head.kind === 'found';
  }
}
