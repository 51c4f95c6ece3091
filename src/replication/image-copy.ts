// The copy of one image: its subject, its children, its blobs, and the manifest last.
import type { Digest } from '../oci/digest.ts';
import { linksOf, type Manifest } from '../oci/manifest.ts';
import type { Reference } from '../oci/reference.ts';
import { failureText, type Failure } from '../registry/answer.ts';
import type { BlobCopier } from './blob-copy.ts';
import { copyFailure, CopyFailed, SecondaryReadOnly, Unsupported, Waiting } from './copy-failure.ts';
import type { Damage } from './damage.ts';
import { forEach } from './for-each.ts';
import type { Refusals } from './refusal.ts';
import { ANSWER_TIMEOUT, type Site } from './site.ts';
import type { Turns } from './turns.ts';

/** What the copies of all images share. */
export interface ImageCopyContext extends Pick<Site, 'primary' | 'secondary'> {
  /** A manifest's bytes where they are in memory: they need not be fetched again. */
  readonly known: (name: string, digest: Digest) => Manifest | undefined;
  readonly blobs: BlobCopier;
  /** Blobs of one manifest at once. */
  readonly parallel: number;
  readonly damage: Damage | undefined;
  readonly refusals: Refusals;
  /** By the digest of a manifest. */
  readonly turns: Turns;
}

// Deeper or wider than this is no image: subjects and indexes may point at each other.
const DEPTH_MAX = 8;
const NODES_MAX = 10_000;
// Registries take no larger manifests (bytes).
const MANIFEST_MAX = 4 * 1024 * 1024;

/** One copy, which remembers what it has seen, so that nothing is done twice. */
export class ImageCopy {
  readonly #context: ImageCopyContext;
  readonly #name: string;
  readonly #seen = new Set<Digest>();
  /** Manifests that others point at, and that the primary does not have. */
  readonly #absent = new Set<Digest>();
  #bytes = 0;

  constructor(context: ImageCopyContext, name: string) {
    this.#context = context;
    this.#name = name;
  }

  /** What was copied: bytes of blobs that came from the primary, and all manifests that the primary has. */
  get copied(): { readonly bytes: number; readonly manifests: readonly Digest[] } {
    return { bytes: this.#bytes, manifests: [...this.#seen].filter((digest) => !this.#absent.has(digest)) };
  }

  /**
   * Copies the subject, the children and the blobs of a manifest, and answers the manifest; undefined where the primary
   * does not have it. `tag`: one that stands on it. @throws CopyFailed @throws Unsupported
   */
  async copyTree(
    digest: Digest,
    { depth = 0, tag }: { depth?: number; tag?: string } = {},
  ): Promise<Manifest | undefined> {
    if (depth > DEPTH_MAX || this.#seen.size >= NODES_MAX) throw new Unsupported('nested too deep or too wide');
    this.#seen.add(digest);
    const manifest = await this.#fetch(digest, tag);
    if (!manifest) return undefined;
    if (manifest.bytes.length > MANIFEST_MAX) throw new Unsupported('a manifest over 4 MiB');
    const links = linksOf(manifest);
    if (links.isTooComplex) throw new Unsupported('a manifest that is nested too deep or has too many values');
    for (const child of links.subject ? [links.subject, ...links.manifests] : links.manifests) {
      await this.copyChild(child.digest, depth + 1);
    }
    const blobs = new Map(links.blobs.map((blob) => [blob.digest, blob]));
    await this.#context.blobs.note(this.#name, [...blobs.keys()]);
    await forEach(blobs.values(), this.#context.parallel, async (blob) => {
      const bytes = await this.#context.blobs.copy(this.#name, blob);
      this.#bytes += bytes;
    });
    return manifest;
  }

  /** Copies a manifest that another one points at, unless that was done. A missing subject is left to the secondary. */
  async copyChild(digest: Digest, depth: number): Promise<void> {
    if (this.#seen.has(digest)) return;
    const manifest = await this.copyTree(digest, { depth });
    if (manifest) await this.put({ digest }, manifest);
    else this.#absent.add(digest);
  }

  /** One at a time for each manifest: Distribution writes its file anew for each tag, and half of it is not given back. */
  put(reference: Reference, manifest: Manifest): Promise<void> {
    return this.#context.turns.take(manifest.digest, () => this.#putNow(reference, manifest));
  }

  async #putNow(reference: Reference, manifest: Manifest): Promise<void> {
    const { secondary, damage, refusals } = this.#context;
    if (await this.#isAtSecondary(reference, manifest.digest)) return;
    const what = `manifest ${manifest.digest}`;
    const answer = await secondary.manifests.put(this.#name, reference, manifest, ANSWER_TIMEOUT);
    if (answer.kind === 'unsupported') throw new SecondaryReadOnly(what);
    if (answer.kind !== 'found') throw this.#refused(manifest, answer);
    refusals.accepted(this.#name);
    // Synced means that the secondary was asked and answered with the primary's digest.
    if (await this.#isAtSecondary(reference, manifest.digest)) return;
    if (damage?.isKnown(manifest.digest)) throw damage.failure(manifest.digest);
    throw new CopyFailed(what, 'the secondary does not give it back');
  }

  async #isAtSecondary(reference: Reference, digest: Digest): Promise<boolean> {
    const { secondary, damage } = this.#context;
    const head = await secondary.manifests.head(this.#name, reference, ANSWER_TIMEOUT);
    if (head.kind !== 'found' || head.value.digest !== digest) return false;
    if (!damage?.isKnown(digest)) return true;
    // HEAD does not notice bytes that are wrong.
    const whole = await secondary.manifests.get(this.#name, { digest }, ANSWER_TIMEOUT);
    if (whole.kind === 'found') await damage.healed(this.#name, digest);
    return whole.kind === 'found';
  }

  /** What a copy ends with whose manifest the secondary does not take. */
  #refused(manifest: Manifest, failure: Failure): Error {
    const { manifests, subject } = linksOf(manifest);
    const below = [...manifests, ...(subject ? [subject] : [])].map((link) => link.digest);
    const absent = below.filter((digest) => this.#absent.has(digest));
    const refusal = this.#context.refusals.read({ name: this.#name, manifest, failure, absent });
    if (refusal.kind === 'for good') return new Unsupported(refusal.reason);
    const what = `manifest ${manifest.digest}`;
    if (refusal.kind === 'for now') return copyFailure(what, failure, 'secondary');
    const reason = `waits for ${refusal.for}, which the primary does not have: ${failureText(failure, 'secondary')}`;
    return new Waiting(refusal.for, what, reason, failure);
  }

  /** A manifest by its digest; by the tag that stands on it where the primary gives it by that alone. */
  async #fetch(digest: Digest, tag?: string): Promise<Manifest | undefined> {
    const { primary, known } = this.#context;
    const inMemory = known(this.#name, digest);
    if (inMemory) return inMemory;
    let answer = await primary.manifests.get(this.#name, { digest }, ANSWER_TIMEOUT);
    if (answer.kind === 'missing' && tag !== undefined) {
      answer = await primary.manifests.get(this.#name, { tag }, ANSWER_TIMEOUT);
    }
    if (answer.kind === 'missing') return undefined;
    if (answer.kind !== 'found') throw copyFailure(`manifest ${digest}`, answer, 'primary');
    return answer.value.digest === digest ? answer.value : undefined;
  }
}
