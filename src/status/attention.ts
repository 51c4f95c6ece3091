// What needs a person: what fails by cause, damaged blobs, held removals, and events that were not understood.
import { forEach } from '../replication/for-each.ts';
import { dataFileOf } from '../replication/damage.ts';
import type { Inspector } from '../replication/inspect.ts';
import type { BlobRecord } from '../replication/records.ts';
import type { RowStore } from '../replication/rows.ts';
import type { Registry } from '../registry/registry.ts';
import { adviceFor, damageAdvice } from './advice.ts';
import type { Attention, CauseGroup, Damage, DamageKind } from './api.ts';
import { listedRow } from './row-listing.ts';
import { toldSuspension } from './snapshot.ts';

/** What attention is made of. */
export interface AttentionDeps {
  readonly rows: Pick<RowStore, 'causes' | 'list' | 'counts' | 'damagedBlobs' | 'malformed' | 'getFact'>;
  readonly primary: Pick<Registry, 'blobs'>;
  readonly inspector: Pick<Inspector, 'look'>;
}

/** `isOn`: whether replication is; `timeout` (ms) to each answer of a registry. */
export interface AttentionOptions {
  readonly isOn: boolean;
  readonly timeout?: number;
}

// How many of each are told.
const GROUPS = 50;
const SAMPLE = 10;
const DAMAGED = 50;
const HELD = 50;
const MALFORMED = 20;

// Damaged blobs that are looked at at once.
const AT_ONCE = 4;

/** Tells what needs a person. @throws StoreUnavailable */
export function createAttention(
  { rows, primary, inspector }: AttentionDeps,
  { isOn, timeout = 2_000 }: AttentionOptions,
): () => Promise<Attention> {
  async function groupsOf(): Promise<readonly CauseGroup[]> {
    const groups: CauseGroup[] = [];
    for (const { cause, rows: count, unsupported } of await rows.causes(GROUPS)) {
      const sample = await rows.list({ cause, limit: SAMPLE });
      groups.push({ cause, ...adviceFor(cause, unsupported === count), count, sample: sample.map(listedRow) });
    }
    return groups;
  }

  /** A registry that does not answer leaves it as it was found. */
  async function kindOf({ repository, digest }: BlobRecord): Promise<DamageKind> {
    const [there, here] = await Promise.all([
      primary.blobs.head(repository, digest, timeout),
      inspector.look(repository, { digest }),
    ]);
    if (there.kind === 'missing') return 'missing-at-primary';
    return here.kind === 'missing' ? 'missing-here' : 'damaged-here';
  }

  async function damagesOf(): Promise<readonly Damage[]> {
    const blobs = await rows.damagedBlobs(DAMAGED);
    const kinds: DamageKind[] = [];
    await forEach(blobs.keys(), AT_ONCE, async (index) => {
      kinds[index] = await kindOf(blobs[index]!);
    });
    return blobs.map(({ repository, digest, verifiedAt }, index) => ({
      repository,
      digest,
      foundAt: new Date(verifiedAt).toISOString(),
      kind: kinds[index]!,
      file: `<root>/${dataFileOf(digest)}`,
      advice: damageAdvice(kinds[index]!),
    }));
  }

  return async () => {
    const [groups, damaged, held, counts, suspension, malformed] = await Promise.all([
      groupsOf(),
      damagesOf(),
      rows.list({ isHeld: true, limit: HELD }),
      rows.counts(Date.now()),
      toldSuspension(rows, isOn),
      rows.malformed(MALFORMED),
    ]);
    return {
      groups,
      damaged,
      held: { count: counts.held, rows: held.filter((row) => !row.isConfirmed).map(listedRow), suspension },
      malformed: malformed.map(({ at, reason, body }) => ({ at: new Date(at).toISOString(), reason, body })),
    };
  };
}
