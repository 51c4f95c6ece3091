// Copying: one image with all that it points at, from the primary into the secondary, the manifest last.
import { isForeign } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { linksOf, type Manifest } from '../oci/manifest.ts';
import type { Reference } from '../oci/reference.ts';
import type { Filler } from '../fill/filler.ts';
import type { Store } from '../fill/store.ts';
import type { Answer } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';

/** How a copy ended: `gone` when the primary does not have it (any more). */
export type CopyResult = 'synced' | 'gone';

/** An image could not be copied now; `reason` in plain words. */
export class CopyFailed extends Error {
  constructor(what: string, reason: string) {
    super(`${what}: ${reason}`);
    this.name = 'CopyFailed';
  }
}

/** What copying needs; `filler` is the one that clients read through. */
export interface CopyDeps {
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly filler: Filler;
  readonly store: Store;
}

/** Copies what a reference names. @throws CopyFailed */
export type Copy = (name: string, reference: Reference) => Promise<CopyResult>;

// Deeper or wider than this is no image: subjects and indexes may point at each other.
const DEPTH_MAX = 8;
const NODES_MAX = 10_000;

function reasonOf(answer: Exclude<Answer<unknown>, { kind: 'found' }> | { kind: 'corrupt' }): string {
  return answer.kind === 'unavailable' ? answer.reason : answer.kind;
}

/** Times in milliseconds. */
export interface CopyOptions {
  readonly timeout?: number;
  /** Blobs of one manifest at once. */
  readonly parallel?: number;
}

async function inParallel<T>(items: readonly T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of rest) await work(item);
    }),
  );
}

/** @see Copy */
export function createCopy(deps: CopyDeps, { timeout = 30_000, parallel = 4 }: CopyOptions = {}): Copy {
  const { primary, secondary, filler, store } = deps;

  async function copyBlob(name: string, digest: Digest): Promise<void> {
    if (await store.has(name, digest)) return;
    const answer = await filler.fill(name, digest, 'background');
    if (answer.kind !== 'found') throw new CopyFailed(`blob ${digest}`, reasonOf(answer));
  }

  async function isHere(name: string, reference: Reference, digest: Digest): Promise<boolean> {
    const here = await secondary.manifests.head(name, reference, timeout);
    return here.kind === 'found' && here.value.digest === digest;
  }

  async function put(name: string, reference: Reference, manifest: Manifest): Promise<void> {
    const answer = await secondary.manifests.put(name, reference, manifest, timeout);
    if (answer.kind !== 'found') throw new CopyFailed(`manifest ${manifest.digest}`, reasonOf(answer));
    // Synced means that the secondary was asked and answered with the primary's digest.
    if (await isHere(name, reference, manifest.digest)) return;
    throw new CopyFailed(`manifest ${manifest.digest}`, 'the secondary does not give it back');
  }

  /** Blobs, children and the subject of a manifest; then, unless it goes out under a tag, the manifest. */
  async function copyTree(
    name: string,
    digest: Digest,
    seen: Set<Digest>,
    depth: number,
  ): Promise<Manifest | undefined> {
    if (depth > DEPTH_MAX || seen.size > NODES_MAX) throw new CopyFailed(`manifest ${digest}`, 'nested too deep');
    seen.add(digest);
    const answer = await primary.manifests.get(name, { digest }, timeout);
    if (answer.kind === 'missing') return undefined;
    if (answer.kind !== 'found') throw new CopyFailed(`manifest ${digest}`, reasonOf(answer));
    const links = linksOf(answer.value);
    const inner = links.subject ? [links.subject, ...links.manifests] : links.manifests;
    for (const child of inner) {
      if (!seen.has(child.digest)) await copyChild(name, child.digest, seen, depth + 1);
    }
    const blobs = new Set(links.blobs.filter((blob) => !isForeign(blob)).map((blob) => blob.digest));
    await inParallel([...blobs], parallel, (blob) => copyBlob(name, blob));
    return answer.value;
  }

  async function copyChild(name: string, digest: Digest, seen: Set<Digest>, depth: number): Promise<void> {
    const manifest = await copyTree(name, digest, seen, depth);
    // A subject may be missing, and a registry that minds will say so.
    if (manifest && !(await isHere(name, { digest }, digest))) await put(name, { digest }, manifest);
  }

  async function copyTag(name: string, tag: string, tries = 3): Promise<CopyResult> {
    const before = await primary.manifests.head(name, { tag }, timeout);
    if (before.kind === 'missing') return 'gone';
    if (before.kind !== 'found') throw new CopyFailed(`tag ${tag}`, reasonOf(before));
    const { digest } = before.value;
    const manifest = await copyTree(name, digest, new Set(), 0);
    const now = await primary.manifests.head(name, { tag }, timeout);
    const isCurrent = now.kind === 'found' && now.value.digest === digest;
    if (manifest && isCurrent) {
      if (!(await isHere(name, { tag }, digest))) await put(name, { tag }, manifest);
      const after = await primary.manifests.head(name, { tag }, timeout);
      if (after.kind !== 'found' || after.value.digest === digest) return 'synced';
    }
    // The tag moved meanwhile: what it means now is what has to be here.
    if (tries === 0) throw new CopyFailed(`tag ${tag}`, 'it keeps moving');
    return copyTag(name, tag, tries - 1);
  }

  async function copyDigest(name: string, digest: Digest): Promise<CopyResult> {
    const manifest = await copyTree(name, digest, new Set(), 0);
    if (!manifest) return 'gone';
    if (!(await isHere(name, { digest }, digest))) await put(name, { digest }, manifest);
    return 'synced';
  }

  return (name, reference) => ('tag' in reference ? copyTag(name, reference.tag) : copyDigest(name, reference.digest));
}
