// Soundness: whether what a manifest names is in the secondary, whole, down to the last byte of each blob.
import { createLru } from '../lib/lru.ts';
import type { MemoryName } from '../lib/memories.ts';
import { isForeign, type Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { linksOf, type Manifest } from '../oci/manifest.ts';
import { failureText, type Answer, type Failure } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';
import type { Damage } from './damage.ts';
import type { Finding, Inspector, ReadingOptions } from './inspect.ts';
import type { RowStore } from './rows.ts';

/** The secondary cannot be asked: nothing more can be learnt now. */
export class SecondaryAway extends Error {}

/** The secondary did not say enough of one thing. */
export class Unknown extends Error {}

/** What was done, while it is done. */
export interface SoundnessCounts {
  /** Blobs that were looked at. */
  blobs: number;
  /** Bytes that were read. */
  bytes: number;
  /** Blobs and manifests that are wrong or missing; those that are whole again. */
  damaged: number;
  healed: number;
}

/** Judges for one run, which remembers what it has asked. Each may throw SecondaryAway, Unknown and StoreUnavailable. */
export interface Soundness {
  readonly counts: Readonly<SoundnessCounts>;
  /** Whether a manifest and all below it are right; damage is noted. A subject need not be there. */
  isTreeWhole(name: string, root: Digest): Promise<boolean>;
  /** Looks at listed damage again; true when rows that failed for it are worth another try. */
  isWorthATry(name: string, digest: Digest): Promise<boolean>;
  /** Whether a tag stands on this manifest. */
  isTagOf(name: string, tag: string, digest: Digest): Promise<boolean>;
}

/** What judging needs. */
export interface SoundnessDeps {
  /** Asked for foreign layers that are not here, and for nothing else. */
  readonly primary: Pick<Registry, 'blobs'>;
  readonly secondary: Registry;
  readonly rows: Pick<RowStore, 'findBlob' | 'putBlob'>;
  readonly inspector: Inspector;
  readonly damage: Damage;
  readonly clock: () => number;
  readonly signal: AbortSignal;
}

// As copying has them: what goes beyond is `unsupported` there.
const DEPTH_MAX = 8;
const NODES_MAX = 10_000;

/** A manifest's own part in whether an image is right. */
interface Node {
  readonly isWhole: boolean;
  readonly below: readonly Digest[];
  readonly subject?: Digest;
}

const BROKEN: Node = { isWhole: false, below: [] };

const lengthOf = ({ reason }: Finding): number => reason.length;
// As right as what is here: clients get it where the primary's clients do.
const ELSEWHERE: Finding = { kind: 'whole', reason: '' };

const keyOf = (name: string, digest: Digest): string => `${name}@${digest}`;

// Bytes of a promise and of an object, and of a digest in a list.
const VALUE = 256;
const DIGEST = 112;

/**
 * Remembers promises by key, so that shared content is asked for once, but not those that were rejected. `sizeOf` gives
 * the bytes of a value.
 */
function remembering<T extends {}>(
  name: MemoryName,
  sizeOf: (value: T) => number,
): (key: string, work: () => Promise<T>) => Promise<T> {
  interface Entry {
    readonly promise: Promise<T>;
    readonly bytes: number;
  }
  const memory = createLru<string, Entry>(name, { sizeOf: ({ bytes }) => VALUE + bytes });
  return (key, work) => {
    const before = memory.get(key);
    if (before) return before.promise;
    const promise = work();
    memory.set(key, { promise, bytes: 0 });
    promise.then(
      (value) => memory.set(key, { promise, bytes: sizeOf(value) }),
      () => memory.delete(key),
    );
    return promise;
  };
}

/** A {@link Soundness}; `timeout` in milliseconds to headers, `rehashAfter` how old a blob's last reading may be. */
export function createSoundness(
  deps: SoundnessDeps,
  { timeout, rehashAfter }: { timeout: number; rehashAfter: number },
): Soundness {
  const { primary, secondary, rows, inspector, damage, clock, signal } = deps;
  const counts: SoundnessCounts = { blobs: 0, bytes: 0, damaged: 0, healed: 0 };
  const counted = createLru<string, true>('countedDamage');
  const nodes = remembering<Node>('checkedManifests', ({ below }) => DIGEST * below.length);
  const blobs = remembering('checkedBlobs', lengthOf);
  const readings = remembering('hashedBlobs', lengthOf);
  const reading: ReadingOptions = { signal, onRead: (bytes) => (counts.bytes += bytes) };

  /** What the secondary leaves open: of one thing where it answers otherwise, of everything where it does not. */
  async function leaveOpen(what: string, reason: string, failure?: Failure): Promise<never> {
    // All its blobs are in the one storage.
    if (failure?.kind === 'unavailable' && failure.storage === 'away') throw new SecondaryAway(reason);
    throw (await inspector.isAnswering()) ? new Unknown(`${what}: ${reason}`) : new SecondaryAway(reason);
  }

  function leaveFailureOpen(what: string, failure: Failure): Promise<never> {
    return leaveOpen(what, failureText(failure, 'secondary'));
  }

  async function noteDamage(name: string, digest: Digest, reason: string): Promise<void> {
    await damage.note(name, digest, reason);
    const key = keyOf(name, digest);
    if (!counted.has(key)) counts.damaged += 1;
    counted.set(key, true);
  }

  async function heal(name: string, digest: Digest): Promise<void> {
    await damage.healed(name, digest);
    counts.healed += 1;
  }

  /** Registries keep one copy of a blob for all repositories: it is read once. That one lacks it says nothing of others. */
  async function read(name: string, digest: Digest): Promise<Finding> {
    const readHere = async (): Promise<Finding> => {
      const finding = await inspector.read(name, digest, reading);
      return finding.kind === 'unknown' ? leaveOpen(`blob ${digest}`, finding.reason, finding.failure) : finding;
    };
    const finding = await readings(digest, readHere);
    return finding.kind === 'missing' ? readings(keyOf(name, digest), readHere) : finding;
  }

  async function judge(name: string, blob: Pick<Descriptor, 'digest' | 'size'>, isDue: boolean): Promise<Finding> {
    const seen = await inspector.look(name, blob);
    if (seen.kind === 'unknown') return leaveOpen(`blob ${blob.digest}`, seen.reason, seen.failure);
    const needsReading = seen.kind === 'doubtful' || (seen.kind === 'whole' && isDue);
    return needsReading ? read(name, blob.digest) : seen;
  }

  /** Whether a foreign layer could be here; a primary that cannot be asked is asked by the next run. */
  async function isAtPrimary(name: string, digest: Digest): Promise<boolean> {
    return (await primary.blobs.head(name, digest, timeout)).kind === 'found';
  }

  async function checkBlob(name: string, blob: Descriptor): Promise<Finding> {
    const { digest } = blob;
    const record = await rows.findBlob(name, digest);
    const isDue = !record || record.isDamaged || record.verifiedAt <= clock() - rehashAfter;
    const finding = await judge(name, blob, isDue);
    counts.blobs += 1;
    if (finding.kind === 'missing' && isForeign(blob) && !(await isAtPrimary(name, digest))) return ELSEWHERE;
    if (finding.kind !== 'whole') await noteDamage(name, digest, finding.reason);
    else if (record?.isDamaged) await heal(name, digest);
    else if (isDue) await rows.putBlob({ repository: name, digest, verifiedAt: clock(), isDamaged: false });
    return finding;
  }

  /** Bytes of a manifest that are wrong make a registry give any status: twice, while it answers, and they are. */
  async function manifestOf(name: string, digest: Digest): Promise<Answer<Manifest> | { readonly kind: 'damaged' }> {
    const first = await secondary.manifests.get(name, { digest }, timeout);
    if (first.kind !== 'unavailable' || !(await inspector.isAnswering())) return first;
    const again = await secondary.manifests.get(name, { digest }, timeout);
    if (again.kind !== 'unavailable' || !(await inspector.isAnswering())) return again;
    await noteDamage(name, digest, again.reason);
    return { kind: 'damaged' };
  }

  async function checkManifest(name: string, digest: Digest): Promise<Node> {
    const answer = await manifestOf(name, digest);
    if (answer.kind === 'missing' || answer.kind === 'damaged') return BROKEN;
    if (answer.kind !== 'found') return leaveFailureOpen(`manifest ${digest}`, answer);
    const links = linksOf(answer.value);
    const own = new Map(links.blobs.map((blob) => [blob.digest, blob]));
    let isWhole = true;
    for (const blob of own.values()) {
      const { kind } = await blobs(keyOf(name, blob.digest), () => checkBlob(name, blob));
      isWhole &&= kind === 'whole';
    }
    const below = links.manifests.map((child) => child.digest);
    return { isWhole, below, ...(links.subject ? { subject: links.subject.digest } : {}) };
  }

  /** A subject that is not there is none of this image's business: the primary may not have it either. */
  async function withSubject({ below, subject }: Node, name: string): Promise<readonly Digest[]> {
    if (subject === undefined) return below;
    const there = await secondary.manifests.head(name, { digest: subject }, timeout);
    return there.kind === 'found' ? [...below, subject] : below;
  }

  return {
    counts,

    async isTreeWhole(name, root) {
      const seen = new Set([root]);
      let level: readonly Digest[] = [root];
      let isWhole = true;
      for (let depth = 0; level.length > 0; depth += 1) {
        if (depth > DEPTH_MAX || seen.size > NODES_MAX) throw new Unknown('nested too deep or too wide');
        const next: Digest[] = [];
        for (const digest of level) {
          const node = await nodes(keyOf(name, digest), () => checkManifest(name, digest));
          isWhole &&= node.isWhole;
          const fresh = (await withSubject(node, name)).filter((below) => !seen.has(below));
          for (const below of fresh) seen.add(below);
          next.push(...fresh);
        }
        level = next;
      }
      return isWhole;
    },

    async isWorthATry(name, digest) {
      const { kind, reason } = await judge(name, { digest }, true);
      if (kind === 'damaged') {
        await noteDamage(name, digest, reason);
        return false;
      }
      // No registry gives a manifest as a blob.
      const isHere = kind === 'whole' ? kind : (await secondary.manifests.get(name, { digest }, timeout)).kind;
      if (isHere === 'whole' || isHere === 'found') await heal(name, digest);
      else if (isHere === 'missing') await damage.forget(name, digest);
      else await noteDamage(name, digest, reason);
      return true;
    },

    async isTagOf(name, tag, digest) {
      const head = await secondary.manifests.head(name, { tag }, timeout);
      if (head.kind === 'found') return head.value.digest === digest;
      if (head.kind === 'missing') return false;
      // A manifest whose bytes are wrong makes its tags fail.
      const { isWhole } = await nodes(keyOf(name, digest), () => checkManifest(name, digest));
      return isWhole ? leaveFailureOpen(`tag ${tag}`, head) : false;
    },
  };
}
