// Copying: one image with all that it points at, from the primary into the secondary, the manifest last.
import { isForeign, type Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { linksOf, type Manifest } from '../oci/manifest.ts';
import type { Reference } from '../oci/reference.ts';
import { subjectOfTag } from '../oci/referrer-tag.ts';
import type { Filler } from '../fill/filler.ts';
import type { Store } from '../fill/store.ts';
import { failureText, type Failure } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';
import { copyFailure, CopyFailed, SecondaryReadOnly, Waiting } from './copy-failure.ts';
import type { Damage } from './damage.ts';
import { forEach } from './for-each.ts';
import { createRefusals } from './refusal.ts';
import { createTurns } from './turns.ts';

/** How a copy ended. */
export type CopyResult =
  /** The secondary answered with this digest of the primary's; `bytes` of blobs were brought for it. */
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

/** What copying needs; `filler` is the one that clients read through. */
export interface CopyDeps {
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly filler: Filler;
  readonly store: Store;
  /** A manifest's bytes where they are in memory: they need not be brought twice. */
  readonly known?: (name: string, digest: Digest) => Manifest | undefined;
  /** Knows where else in the secondary a blob is. */
  readonly places?: Places;
  /** Knows what an upload cannot heal; without it only the end of a blob is looked at. */
  readonly damage?: Pick<Damage, 'isKnown' | 'settle' | 'healed' | 'failure'>;
}

/** Where the secondary's blobs are: what is there under any name is not fetched again. */
export interface Places {
  /** Notes that a repository has, or is about to have, these blobs. */
  note(name: string, digests: readonly Digest[]): Promise<void>;
  /** Links a blob from another repository that has it; false where none has. @throws CopyFailed */
  link(name: string, digest: Digest): Promise<boolean>;
}

/** Copies what a reference names. @throws CopyFailed, of which {@link Waiting} for what may come to the primary */
export type Copy = (name: string, reference: Reference) => Promise<CopyResult>;

/** Times in milliseconds. */
export interface CopyOptions {
  readonly timeout?: number;
  /** Blobs of one manifest at once. */
  readonly parallel?: number;
}

// Deeper or wider than this is no image: subjects and indexes may point at each other.
const DEPTH_MAX = 8;
const NODES_MAX = 10_000;
// Registries take no larger manifests (bytes).
const MANIFEST_MAX = 4 * 1024 * 1024;
// How often a copy begins again because its tag moved meanwhile.
const MOVES_MAX = 3;

class Unsupported extends Error {}

/** One copy's walk: what was seen, so that nothing is done twice, and what it brought. */
interface Walk {
  readonly seen: Set<Digest>;
  /** Manifests that others point at, and that the primary does not have. */
  readonly absent: Set<Digest>;
  bytes: number;
}

/** The manifests of a walk that were there. */
function broughtBy({ seen, absent }: Walk): Digest[] {
  return [...seen].filter((digest) => !absent.has(digest));
}

/** What a reference means at the primary, once that is known. */
interface Meaning {
  digest?: Digest;
}

function createWalk(): Walk {
  return { seen: new Set(), absent: new Set(), bytes: 0 };
}

/** @see Copy */
export function createCopy(deps: CopyDeps, { timeout = 30_000, parallel = 4 }: CopyOptions = {}): Copy {
  const { primary, secondary, filler, store, places, damage, known = () => undefined } = deps;
  // One copy after the other: what the one before brought, to whatever repository, is found there.
  const inTurn = createTurns();
  const refusals = createRefusals();

  /** Whether the secondary has the right bytes. @throws CopyFailed where it has wrong ones, which no upload replaces. */
  async function isWhole(name: string, blob: Descriptor): Promise<boolean> {
    if (damage) return (await damage.settle(name, blob)) === 'whole';
    const here = await store.has(name, blob.digest, blob.size);
    // Where that can't be said it can't be stored either: nothing is fetched in vain.
    if (here.kind !== 'found') throw copyFailure(`blob ${blob.digest}`, here, 'secondary');
    return here.value;
  }

  /** A foreign layer need not be in the primary. */
  async function isAtPrimary(name: string, digest: Digest): Promise<boolean> {
    const there = await primary.blobs.head(name, digest, timeout);
    if (there.kind !== 'found' && there.kind !== 'missing') throw copyFailure(`blob ${digest}`, there, 'primary');
    return there.kind === 'found';
  }

  async function copyBlob(name: string, blob: Descriptor, walk: Walk): Promise<void> {
    const { digest, size = 0 } = blob;
    if (await isWhole(name, blob)) return;
    if (isForeign(blob) && !(await isAtPrimary(name, digest))) return;
    if (!(await places?.link(name, digest))) {
      const answer = await filler.fill(name, digest, 'background');
      // 405 is what a registry in maintenance says to writes; a repository that is not stored is not copied.
      if (answer.kind === 'unsupported') throw new SecondaryReadOnly(`blob ${digest}`, 'the secondary takes no writes');
      if (answer.kind === 'too-large') throw new Unsupported(`blob ${digest} is larger than GEO_BLOB_MAX`);
      if (answer.kind !== 'found') throw copyFailure(`blob ${digest}`, answer, 'primary');
      walk.bytes += size;
    }
    // An upload leaves a file that is there as it is, however wrong it is.
    if (damage && !(await isWhole(name, blob))) {
      throw new CopyFailed(`blob ${digest}`, 'the secondary does not give it back after an upload');
    }
  }

  async function isHere(name: string, reference: Reference, digest: Digest): Promise<boolean> {
    const here = await secondary.manifests.head(name, reference, timeout);
    if (here.kind !== 'found' || here.value.digest !== digest) return false;
    if (!damage?.isKnown(digest)) return true;
    // HEAD speaks well of bytes that are wrong.
    const whole = await secondary.manifests.get(name, { digest }, timeout);
    if (whole.kind === 'found') await damage.healed(name, digest);
    return whole.kind === 'found';
  }

  /** One at a time for each manifest: Distribution writes its file anew for each tag, and half of it is not given back. */
  function put(name: string, reference: Reference, manifest: Manifest, walk: Walk): Promise<void> {
    return inTurn(manifest.digest, () => putNow(name, reference, manifest, walk));
  }

  async function putNow(name: string, reference: Reference, manifest: Manifest, walk: Walk): Promise<void> {
    if (await isHere(name, reference, manifest.digest)) return;
    const what = `manifest ${manifest.digest}`;
    const answer = await secondary.manifests.put(name, reference, manifest, timeout);
    if (answer.kind === 'unsupported') throw new SecondaryReadOnly(what, 'the secondary takes no writes');
    if (answer.kind !== 'found') throw refused(name, manifest, answer, walk);
    refusals.accepted(name);
    // Synced means that the secondary was asked and answered with the primary's digest.
    if (await isHere(name, reference, manifest.digest)) return;
    if (damage?.isKnown(manifest.digest)) throw damage.failure(manifest.digest);
    throw new CopyFailed(what, 'the secondary does not give it back');
  }

  /** What a copy ends with whose manifest the secondary does not take. */
  function refused(name: string, manifest: Manifest, failure: Failure, { absent }: Walk): Error {
    const { manifests, subject } = linksOf(manifest);
    const below = [...manifests, ...(subject ? [subject] : [])].map((link) => link.digest);
    const refusal = refusals.read({ name, manifest, failure, absent: below.filter((one) => absent.has(one)) });
    if (refusal.kind === 'for good') return new Unsupported(refusal.reason);
    const what = `manifest ${manifest.digest}`;
    if (refusal.kind === 'for now') return copyFailure(what, failure, 'secondary');
    const reason = `waits for ${refusal.for}, which the primary does not have: ${failureText(failure, 'secondary')}`;
    return new Waiting(refusal.for, what, reason, failure);
  }

  /** A manifest by its digest; by the tag that stands on it where the primary gives it by that alone. */
  async function manifestOf(name: string, digest: Digest, tag?: string): Promise<Manifest | undefined> {
    const here = known(name, digest);
    if (here) return here;
    let answer = await primary.manifests.get(name, { digest }, timeout);
    if (answer.kind === 'missing' && tag !== undefined) answer = await primary.manifests.get(name, { tag }, timeout);
    if (answer.kind === 'missing') return undefined;
    if (answer.kind !== 'found') throw copyFailure(`manifest ${digest}`, answer, 'primary');
    return answer.value.digest === digest ? answer.value : undefined;
  }

  /**
   * The subject, the children and the blobs of a manifest, which is given back; undefined where it is gone. `tag`: one
   * that stands on it.
   */
  async function copyTree(
    name: string,
    digest: Digest,
    walk: Walk,
    { depth = 0, tag }: { depth?: number; tag?: string } = {},
  ): Promise<Manifest | undefined> {
    const { seen } = walk;
    if (depth > DEPTH_MAX || seen.size >= NODES_MAX) throw new Unsupported('nested too deep or too wide');
    seen.add(digest);
    const manifest = await manifestOf(name, digest, tag);
    if (!manifest) return undefined;
    if (manifest.bytes.length > MANIFEST_MAX) throw new Unsupported('a manifest over 4 MiB');
    const links = linksOf(manifest);
    if (links.isTooComplex) throw new Unsupported('a manifest that is nested too deep or has too many values');
    for (const child of links.subject ? [links.subject, ...links.manifests] : links.manifests) {
      if (!seen.has(child.digest)) await copyChild(name, child.digest, walk, depth + 1);
    }
    const blobs = new Map(links.blobs.map((blob) => [blob.digest, blob]));
    // Before they are there: whatever is stored is known, whenever this process ends.
    await places?.note(name, [...blobs.keys()]);
    await forEach(blobs.values(), parallel, (blob) => inTurn(blob.digest, () => copyBlob(name, blob, walk)));
    return manifest;
  }

  async function copyChild(name: string, digest: Digest, walk: Walk, depth: number): Promise<void> {
    const manifest = await copyTree(name, digest, walk, { depth });
    // A subject may be missing, and a registry that minds will say so.
    if (manifest) await put(name, { digest }, manifest, walk);
    else walk.absent.add(digest);
  }

  async function copyTag(name: string, tag: string, meaning: Meaning, moves = 0): Promise<CopyResult> {
    const look = (): ReturnType<typeof primary.manifests.head> => primary.manifests.head(name, { tag }, timeout);
    const before = await look();
    if (before.kind === 'missing') return { kind: 'gone' };
    if (before.kind !== 'found') throw copyFailure(`tag ${tag}`, before, 'primary');
    const { digest } = before.value;
    meaning.digest = digest;
    const walk = createWalk();
    const manifest = await copyTree(name, digest, walk, { tag });
    // A signature or SBOM that has its subject's name only in its tag: alone it is worth nothing.
    const subject = subjectOfTag(tag);
    if (manifest && subject && !walk.seen.has(subject)) await copyChild(name, subject, walk, 1);
    const now = await look();
    if (manifest && now.kind === 'found' && now.value.digest === digest) {
      await put(name, { tag }, manifest, walk);
      const after = await look();
      if (after.kind === 'found' && after.value.digest === digest)
        return { kind: 'synced', digest, bytes: walk.bytes, manifests: broughtBy(walk) };
      if (after.kind !== 'found' && after.kind !== 'missing') throw copyFailure(`tag ${tag}`, after, 'primary');
    }
    // The tag moved meanwhile: what it means now is what has to be here.
    if (moves === MOVES_MAX) {
      const isHeld = !manifest && now.kind === 'found' && now.value.digest === digest;
      const reason = isHeld ? `the primary names ${digest}, but does not give it` : 'it keeps moving';
      throw new CopyFailed(`tag ${tag}`, reason);
    }
    return copyTag(name, tag, meaning, moves + 1);
  }

  async function copyDigest(name: string, digest: Digest): Promise<CopyResult> {
    const walk = createWalk();
    const manifest = await copyTree(name, digest, walk);
    if (!manifest) return { kind: 'gone' };
    await put(name, { digest }, manifest, walk);
    return { kind: 'synced', digest, bytes: walk.bytes, manifests: broughtBy(walk) };
  }

  return async (name, reference) => {
    const meaning: Meaning = {};
    try {
      if ('tag' in reference) return await copyTag(name, reference.tag, meaning);
      meaning.digest = reference.digest;
      return await copyDigest(name, reference.digest);
    } catch (error) {
      if (error instanceof Unsupported) return { kind: 'unsupported', reason: error.message, ...meaning };
      throw error;
    }
  };
}
