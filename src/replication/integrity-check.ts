// The integrity check: whether the secondary has what a manifest names, down to the last byte of each blob.
import { createLru } from '../lib/lru.ts';
import type { MemoryName } from '../lib/memories.ts';
import { isForeign, type Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { linksOf, type Manifest } from '../oci/manifest.ts';
import { failureText, type Answer, type Failure } from '../registry/answer.ts';
import type { Damage } from './damage.ts';
import type { BlobSize, Finding, Inspector } from './inspect.ts';
import { ANSWER_TIMEOUT, type Site } from './site.ts';

/** The secondary, or its storage, does not answer: nothing more can be found out now. */
export class SecondaryAway extends Error {}

/** The secondary's answers about one thing leave it open. */
export class Unknown extends Error {}

/** What was done so far. */
export interface IntegrityCounts {
  /** Blobs that were looked at. */
  blobs: number;
  /** Bytes that were read. */
  bytes: number;
  /** Blobs and manifests that are wrong or missing; those that are whole again. */
  damaged: number;
  healed: number;
}

/** What a check uses. */
export interface IntegrityParts {
  readonly inspector: Inspector;
  readonly damage: Damage;
  /** A blob whose last reading is older (ms) is read again. */
  readonly rehashAfter: number;
  readonly signal: AbortSignal;
}

// As copying has them: larger images are `unsupported`.
const DEPTH_MAX = 8;
const NODES_MAX = 10_000;

/** One manifest, as part of an image. */
interface Node {
  /** Whether the manifest and its blobs are right; its children are looked at one by one. */
  readonly isWhole: boolean;
  readonly below: readonly Digest[];
  readonly subject?: Digest;
}

const BROKEN: Node = { isWhole: false, below: [] };

const lengthOf = ({ reason }: Finding): number => reason.length;
// A foreign layer that neither registry has: clients get it where those of the primary do.
const ELSEWHERE: Finding = { kind: 'whole', reason: '' };

const keyOf = (name: string, digest: Digest): string => `${name}@${digest}`;

// Bytes of a promise and of an object, and of a digest in a list.
const VALUE = 256;
const DIGEST = 112;

/** Remembers promises by key, so that shared content is asked for once, but not those that were rejected. */
class Answers<T extends {}> {
  readonly #memory;
  readonly #sizeOf: (value: T) => number;

  /** `sizeOf` gives the bytes of a value. */
  constructor(name: MemoryName, sizeOf: (value: T) => number) {
    this.#memory = createLru<string, { readonly promise: Promise<T>; readonly bytes: number }>(name, {
      sizeOf: ({ bytes }) => VALUE + bytes,
    });
    this.#sizeOf = sizeOf;
  }

  get(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#memory.get(key);
    if (before) return before.promise;
    const promise = work();
    this.#memory.set(key, { promise, bytes: 0 });
    promise.then(
      (value) => this.#memory.set(key, { promise, bytes: this.#sizeOf(value) }),
      () => this.#memory.delete(key),
    );
    return promise;
  }
}

/** The check of one run, which remembers its answers. Methods may throw SecondaryAway, Unknown and StoreUnavailable. */
export class IntegrityCheck {
  readonly counts: IntegrityCounts = { blobs: 0, bytes: 0, damaged: 0, healed: 0 };
  readonly #site: Pick<Site, 'primary' | 'secondary' | 'rows' | 'clock'>;
  readonly #parts: IntegrityParts;
  readonly #counted = createLru<string, true>('countedDamage');
  readonly #nodes = new Answers<Node>('checkedManifests', ({ below }) => DIGEST * below.length);
  readonly #blobs = new Answers('checkedBlobs', lengthOf);
  readonly #readings = new Answers('hashedBlobs', lengthOf);

  constructor(site: Pick<Site, 'primary' | 'secondary' | 'rows' | 'clock'>, parts: IntegrityParts) {
    this.#site = site;
    this.#parts = parts;
  }

  /** Whether a manifest and all below it are right; damage is noted. A subject may be missing. */
  async isTreeWhole(name: string, root: Digest): Promise<boolean> {
    const seen = new Set([root]);
    let level: readonly Digest[] = [root];
    let isWhole = true;
    for (let depth = 0; level.length > 0; depth += 1) {
      if (depth > DEPTH_MAX || seen.size > NODES_MAX) throw new Unknown('nested too deep or too wide');
      const next: Digest[] = [];
      for (const digest of level) {
        const node = await this.#node(name, digest);
        isWhole &&= node.isWhole;
        const fresh = (await this.#withSubject(name, node)).filter((below) => !seen.has(below));
        for (const below of fresh) seen.add(below);
        next.push(...fresh);
      }
      level = next;
    }
    return isWhole;
  }

  /** Whether a tag stands on this manifest. */
  async isTagOf(name: string, tag: string, digest: Digest): Promise<boolean> {
    const head = await this.#site.secondary.manifests.head(name, { tag }, ANSWER_TIMEOUT);
    if (head.kind === 'found') return head.value.digest === digest;
    if (head.kind === 'missing') return false;
    // HEAD of a tag fails where the bytes of its manifest are wrong.
    const { isWhole } = await this.#node(name, digest);
    return isWhole ? this.#leaveOpen(`tag ${tag}`, failureText(head, 'secondary')) : false;
  }

  /** Looks at listed damage again; true when rows that failed for it are worth another try. */
  async isWorthATry(name: string, digest: Digest): Promise<boolean> {
    const { kind, reason } = await this.#inspect(name, { digest }, true);
    if (kind === 'damaged') {
      await this.#noteDamage(name, digest, reason);
      return false;
    }
    // No registry gives a manifest as a blob.
    const manifest = (): ReturnType<Site['secondary']['manifests']['get']> =>
      this.#site.secondary.manifests.get(name, { digest }, ANSWER_TIMEOUT);
    const found = kind === 'whole' ? kind : (await manifest()).kind;
    if (found === 'whole' || found === 'found') await this.#heal(name, digest);
    else if (found === 'missing') await this.#parts.damage.forget(name, digest);
    else await this.#noteDamage(name, digest, reason);
    return true;
  }

  #node(name: string, digest: Digest): Promise<Node> {
    return this.#nodes.get(keyOf(name, digest), () => this.#checkManifest(name, digest));
  }

  async #checkManifest(name: string, digest: Digest): Promise<Node> {
    const answer = await this.#manifestOf(name, digest);
    if (answer.kind === 'missing' || answer.kind === 'damaged') return BROKEN;
    if (answer.kind !== 'found') return this.#leaveOpen(`manifest ${digest}`, failureText(answer, 'secondary'));
    const links = linksOf(answer.value);
    const own = new Map(links.blobs.map((blob) => [blob.digest, blob]));
    let isWhole = true;
    for (const blob of own.values()) {
      const { kind } = await this.#blobs.get(keyOf(name, blob.digest), () => this.#checkBlob(name, blob));
      isWhole &&= kind === 'whole';
    }
    const below = links.manifests.map((child) => child.digest);
    return { isWhole, below, ...(links.subject ? { subject: links.subject.digest } : {}) };
  }

  /** A registry answers with any status for a manifest whose bytes are wrong: it counts twice, while `/v2/` answers. */
  async #manifestOf(name: string, digest: Digest): Promise<Answer<Manifest> | { readonly kind: 'damaged' }> {
    const { inspector } = this.#parts;
    const { manifests } = this.#site.secondary;
    const first = await manifests.get(name, { digest }, ANSWER_TIMEOUT);
    if (first.kind !== 'unavailable' || !(await inspector.isAnswering())) return first;
    const again = await manifests.get(name, { digest }, ANSWER_TIMEOUT);
    if (again.kind !== 'unavailable' || !(await inspector.isAnswering())) return again;
    await this.#noteDamage(name, digest, again.reason);
    return { kind: 'damaged' };
  }

  /** A subject that the secondary lacks is not this image's fault: the primary may not have it either. */
  async #withSubject(name: string, { below, subject }: Node): Promise<readonly Digest[]> {
    if (subject === undefined) return below;
    const head = await this.#site.secondary.manifests.head(name, { digest: subject }, ANSWER_TIMEOUT);
    return head.kind === 'found' ? [...below, subject] : below;
  }

  async #checkBlob(name: string, blob: Descriptor): Promise<Finding> {
    const { rows, clock } = this.#site;
    const { digest } = blob;
    const record = await rows.findBlob(name, digest);
    const isDue = !record || record.isDamaged || record.verifiedAt <= clock() - this.#parts.rehashAfter;
    const finding = await this.#inspect(name, blob, isDue);
    this.counts.blobs += 1;
    if (finding.kind === 'missing' && isForeign(blob) && !(await this.#isAtPrimary(name, digest))) return ELSEWHERE;
    if (finding.kind !== 'whole') await this.#noteDamage(name, digest, finding.reason);
    else if (record?.isDamaged) await this.#heal(name, digest);
    else if (isDue) await rows.putBlob({ repository: name, digest, verifiedAt: clock(), isDamaged: false });
    return finding;
  }

  async #inspect(name: string, blob: BlobSize, isDue: boolean): Promise<Finding> {
    const seen = await this.#parts.inspector.look(name, blob);
    if (seen.kind === 'unknown') return this.#leaveOpen(`blob ${blob.digest}`, seen.reason, seen.failure);
    const needsReading = seen.kind === 'doubtful' || (seen.kind === 'whole' && isDue);
    return needsReading ? this.#read(name, blob.digest) : seen;
  }

  /** Registries keep one copy of a blob for all repositories: it is read once. It may be missing in one of them only. */
  async #read(name: string, digest: Digest): Promise<Finding> {
    const { inspector, signal } = this.#parts;
    const read = async (): Promise<Finding> => {
      const finding = await inspector.read(name, digest, { signal, onRead: (bytes) => (this.counts.bytes += bytes) });
      if (finding.kind !== 'unknown') return finding;
      return this.#leaveOpen(`blob ${digest}`, finding.reason, finding.failure);
    };
    const finding = await this.#readings.get(digest, read);
    return finding.kind === 'missing' ? this.#readings.get(keyOf(name, digest), read) : finding;
  }

  /** Whether a foreign layer could be copied; where the primary does not answer, the next run asks it. */
  async #isAtPrimary(name: string, digest: Digest): Promise<boolean> {
    return (await this.#site.primary.blobs.head(name, digest, ANSWER_TIMEOUT)).kind === 'found';
  }

  async #noteDamage(name: string, digest: Digest, reason: string): Promise<void> {
    await this.#parts.damage.note(name, digest, reason);
    const key = keyOf(name, digest);
    if (!this.#counted.has(key)) this.counts.damaged += 1;
    this.#counted.set(key, true);
  }

  async #heal(name: string, digest: Digest): Promise<void> {
    await this.#parts.damage.healed(name, digest);
    this.counts.healed += 1;
  }

  /** Throws Unknown while the secondary answers otherwise, SecondaryAway where it does not. */
  async #leaveOpen(what: string, reason: string, failure?: Failure): Promise<never> {
    // All its blobs are in the one storage.
    if (failure?.kind === 'unavailable' && failure.storage === 'away') throw new SecondaryAway(reason);
    throw (await this.#parts.inspector.isAnswering()) ? new Unknown(`${what}: ${reason}`) : new SecondaryAway(reason);
  }
}
