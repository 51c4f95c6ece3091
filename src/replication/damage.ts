// Damage: blobs and manifests whose bytes in the secondary are wrong. Registries do not overwrite a file that exists, so
// such content stays listed, and out of local serving, until somebody has removed the file.
import { createLru } from '../lib/lru.ts';
import { algorithmOf, hexOf, type Digest } from '../oci/digest.ts';
import { CopyFailed } from './copy-failure.ts';
import type { BlobSize, Finding, Inspector } from './inspect.ts';
import type { Queue } from './queue.ts';
import type { Site } from './site.ts';

/** What damage is found, and passed on, by. */
export interface DamageParts {
  readonly inspector: Inspector;
  readonly queue: Queue;
  /** The local copy is not to be served. */
  readonly onDamaged: (name: string, digest: Digest) => void;
  /** The local copy is whole again. */
  readonly onHealed: (digest: Digest) => void;
}

/** Which damaged content; all when empty. */
export interface DamageFilter {
  readonly repository?: string;
  readonly digest?: string;
}

/** The most damaged blobs that are remembered at a start and looked at again. */
export const DAMAGED_MAX = 100_000;
// Repositories that are remembered of one blob, and bytes of a name beside its characters.
const NAMES_MAX = 1_000;
const NAME = 24;

const DAMAGED =
  'damaged in the secondary; clients get it from the primary. If it stays so, remove its file, restart a registry that caches descriptors, and retry';

/** The file that Distribution keeps content in, below its storage root. */
export function dataFileOf(digest: Digest): string {
  const hex = hexOf(digest);
  return `docker/registry/v2/blobs/${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}/data`;
}

/** What is known of damage: a record in the database for each blob of a repository, and a view of these in memory. */
export class Damage {
  readonly #site: Pick<Site, 'rows' | 'log' | 'clock'>;
  readonly #parts: DamageParts;
  /** Repositories by digest. What no longer fits is in the database, and found again by the next verification. */
  readonly #known = createLru<Digest, readonly string[]>('damage', {
    sizeOf: (names) => names.reduce((sum, name) => sum + NAME + name.length, 0),
  });

  constructor(site: Pick<Site, 'rows' | 'log' | 'clock'>, parts: DamageParts) {
    this.#site = site;
    this.#parts = parts;
  }

  /** Reads what the database knows. @throws StoreUnavailable */
  async recall(): Promise<void> {
    for (const { repository, digest } of await this.#site.rows.damagedBlobs(DAMAGED_MAX)) this.#add(repository, digest);
  }

  /** Whether content of this digest is damaged, in whatever repository. */
  isKnown(digest: Digest): boolean {
    return this.#known.has(digest);
  }

  async note(name: string, digest: Digest, reason: string): Promise<void> {
    const { rows, log, clock } = this.#site;
    await rows.putBlob({ repository: name, digest, verifiedAt: clock(), isDamaged: true });
    if (!this.#add(name, digest)) return;
    log.error({ repository: name, digest, reason, file: `<root>/${dataFileOf(digest)}` }, DAMAGED);
  }

  /** It was read and is whole again. */
  async healed(name: string, digest: Digest): Promise<void> {
    const { rows, log, clock } = this.#site;
    await rows.putBlob({ repository: name, digest, verifiedAt: clock(), isDamaged: false });
    this.#drop(name, digest);
    log.info({ repository: name, digest }, 'whole again in the secondary');
  }

  /** The secondary no longer has it. */
  async forget(name: string, digest: Digest): Promise<void> {
    await this.#site.rows.forgetBlob(name, digest);
    this.#drop(name, digest);
  }

  /** Forgets damage, and makes the failed rows of its repositories due; answers how much was forgotten. */
  async clear({ repository, digest }: DamageFilter): Promise<number> {
    const wanted = (await this.#site.rows.damagedBlobs(DAMAGED_MAX)).filter(
      (blob) => (repository ?? blob.repository) === blob.repository && (digest ?? blob.digest) === blob.digest,
    );
    for (const blob of wanted) await this.forget(blob.repository, blob.digest);
    for (const name of new Set(wanted.map((blob) => blob.repository))) await this.retryFailed(name);
    return wanted.length;
  }

  /** Rows of the repository that failed, perhaps for damage, need not wait for their time. */
  async retryFailed(repository: string): Promise<void> {
    await this.#parts.queue.retry({ repository, states: ['failed'] });
  }

  /**
   * Whether the secondary has the blob's right bytes, or none. Reads it where a look does not decide.
   * @throws CopyFailed where it has wrong ones, which no upload replaces, or does not say.
   */
  async settle(name: string, blob: BlobSize): Promise<'whole' | 'missing'> {
    const { digest } = blob;
    const { kind, reason, failure } = await this.#inspect(name, blob);
    if (kind === 'missing') return kind;
    if (kind === 'unknown' || kind === 'doubtful') {
      throw new CopyFailed(`blob ${digest}`, reason, failure ?? { kind: 'unavailable', reason });
    }
    if (kind === 'damaged') {
      await this.note(name, digest, reason);
      throw this.failure(digest);
    }
    if (this.#known.get(digest)?.includes(name)) await this.healed(name, digest);
    return kind;
  }

  /** The failure of a copy that ends at this content. */
  failure(digest: Digest): CopyFailed {
    const file = dataFileOf(digest);
    return new CopyFailed(`blob ${digest}`, `damaged in the secondary's storage: remove ${file}, then retry`);
  }

  /** Content that is known to be damaged is read: a right size proves nothing. */
  async #inspect(name: string, blob: BlobSize): Promise<Finding> {
    const { inspector } = this.#parts;
    const seen = await inspector.look(name, blob);
    const isEnough = seen.kind === 'whole' ? !this.#known.has(blob.digest) : seen.kind !== 'doubtful';
    return isEnough ? seen : inspector.read(name, blob.digest);
  }

  #add(name: string, digest: Digest): boolean {
    const names = this.#known.get(digest) ?? [];
    const isNew = !names.includes(name);
    if (isNew) this.#known.set(digest, [...names, name].slice(-NAMES_MAX));
    this.#parts.onDamaged(name, digest);
    return isNew;
  }

  #drop(name: string, digest: Digest): void {
    const names = this.#known.get(digest);
    if (!names?.includes(name)) return;
    const left = names.filter((other) => other !== name);
    if (left.length > 0) return void this.#known.set(digest, left);
    this.#known.delete(digest);
    this.#parts.onHealed(digest);
  }
}
