// Damage: blobs and manifests whose bytes in the secondary are wrong. Registries do not overwrite a file that exists, so
// such content stays listed, and out of local serving, until somebody has removed the file.
import type { Log } from '../lib/log.ts';
import { createLru } from '../lib/lru.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, hexOf, type Digest } from '../oci/digest.ts';
import { CopyFailed } from './copy-failure.ts';
import type { Finding, Inspector } from './inspect.ts';
import type { RowStore } from './rows.ts';

/** What is known of damage. */
export interface Damage {
  /** Tells the damage that the database knows of. @throws StoreUnavailable */
  recall(): Promise<void>;
  /** Whether content of this digest is damaged, in whatever repository. */
  isKnown(digest: Digest): boolean;
  note(name: string, digest: Digest, reason: string): Promise<void>;
  /** It was read and is whole again. */
  healed(name: string, digest: Digest): Promise<void>;
  /** It is not there at all any more: nothing that can be damaged. */
  forget(name: string, digest: Digest): Promise<void>;
  /**
   * For who copies: whether the secondary has the blob's right bytes, or none. Reads it where a look does not tell.
   * @throws CopyFailed where it has wrong ones, which no upload replaces, or does not say.
   */
  settle(name: string, blob: Pick<Descriptor, 'digest' | 'size'>): Promise<'whole' | 'missing'>;
  /** The failure of a copy that ends at this content. */
  failure(digest: Digest): CopyFailed;
}

/** What it is kept and told by. */
export interface DamageDeps {
  readonly rows: Pick<RowStore, 'putBlob' | 'forgetBlob' | 'damagedBlobs'>;
  readonly inspector: Inspector;
  /** Its local copy is not to be served. */
  readonly onDamaged: (name: string, digest: Digest) => void;
  /** Its local copy is whole again. */
  readonly onHealed: (digest: Digest) => void;
  readonly log: Log;
  readonly clock?: () => number;
}

/** The most damaged blobs that are told of and looked at again. */
export const DAMAGED_MAX = 100_000;
// Repositories that are remembered of one blob, and bytes of a name beside its characters.
const NAMES_MAX = 1_000;
const NAME = 24;

/** The file that Distribution keeps content in, below its storage root. */
export function dataFileOf(digest: Digest): string {
  const hex = hexOf(digest);
  return `docker/registry/v2/blobs/${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}/data`;
}

function failure(digest: Digest): CopyFailed {
  return new CopyFailed(
    `blob ${digest}`,
    `damaged in the secondary's storage: remove ${dataFileOf(digest)}, then retry`,
  );
}

/** @see Damage */
export function createDamage(deps: DamageDeps): Damage {
  const { rows, inspector, onDamaged, onHealed, log, clock = Date.now } = deps;
  /** By digest, in which repositories. What no longer fits is in the database, and found again by the next verification. */
  const known = createLru<Digest, readonly string[]>('damage', {
    sizeOf: (names) => names.reduce((sum, name) => sum + NAME + name.length, 0),
  });

  function add(name: string, digest: Digest): boolean {
    const names = known.get(digest) ?? [];
    const isNew = !names.includes(name);
    if (isNew) known.set(digest, [...names, name].slice(-NAMES_MAX));
    onDamaged(name, digest);
    return isNew;
  }

  function drop(name: string, digest: Digest): void {
    const names = known.get(digest);
    if (!names?.includes(name)) return;
    const left = names.filter((other) => other !== name);
    if (left.length > 0) return void known.set(digest, left);
    known.delete(digest);
    onHealed(digest);
  }

  async function note(name: string, digest: Digest, reason: string): Promise<void> {
    await rows.putBlob({ repository: name, digest, verifiedAt: clock(), isDamaged: true });
    if (!add(name, digest)) return;
    log.error(
      { repository: name, digest, reason, file: `<root>/${dataFileOf(digest)}` },
      'damaged in the secondary; clients get it from the primary. If it stays so, remove its file, restart a registry that caches descriptors, and retry',
    );
  }

  async function healed(name: string, digest: Digest): Promise<void> {
    await rows.putBlob({ repository: name, digest, verifiedAt: clock(), isDamaged: false });
    drop(name, digest);
    log.info({ repository: name, digest }, 'whole again in the secondary');
  }

  /** Content of a known digest is read: its right size says nothing. */
  async function judge(name: string, blob: Pick<Descriptor, 'digest' | 'size'>): Promise<Finding> {
    const seen = await inspector.look(name, blob);
    const isEnough = seen.kind === 'whole' ? !known.has(blob.digest) : seen.kind !== 'doubtful';
    return isEnough ? seen : inspector.read(name, blob.digest);
  }

  return {
    async recall() {
      for (const { repository, digest } of await rows.damagedBlobs(DAMAGED_MAX)) add(repository, digest);
    },
    isKnown: (digest) => known.has(digest),
    note,
    healed,
    async forget(name, digest) {
      await rows.forgetBlob(name, digest);
      drop(name, digest);
    },
    async settle(name, blob) {
      const { digest } = blob;
      const { kind, reason, failure: answer } = await judge(name, blob);
      if (kind === 'missing') return kind;
      if (kind === 'unknown' || kind === 'doubtful')
        throw new CopyFailed(`blob ${digest}`, reason, answer ?? { kind: 'unavailable', reason });
      if (kind === 'damaged') {
        await note(name, digest, reason);
        throw failure(digest);
      }
      if (known.get(digest)?.includes(name)) await healed(name, digest);
      return kind;
    },
    failure,
  };
}

/** Which marks of damage; all when empty. */
export interface DamageFilter {
  readonly repository?: string;
  readonly digest?: string;
}

/** Removes marks of damage, and makes the failed rows of their repositories due; answers how many marks. */
export async function clearDamaged(
  {
    rows,
    damage,
    clock,
  }: { rows: Pick<RowStore, 'damagedBlobs' | 'retry'>; damage: Pick<Damage, 'forget'>; clock: () => number },
  { repository, digest }: DamageFilter,
): Promise<number> {
  const wanted = (await rows.damagedBlobs(DAMAGED_MAX)).filter(
    (blob) => (repository ?? blob.repository) === blob.repository && (digest ?? blob.digest) === blob.digest,
  );
  for (const blob of wanted) await damage.forget(blob.repository, blob.digest);
  for (const name of new Set(wanted.map((blob) => blob.repository))) {
    await rows.retry({ repository: name, states: ['failed'] }, clock());
  }
  return wanted.length;
}
