// Removal: whether and when something is removed. Only what the primary itself says is gone, for that very reference; no
// more in 24 hours than the limit allows; no tag with another.
import { createSlots } from '../lib/slots.ts';
import { isDigest, type Digest } from '../oci/digest.ts';
import type { Reference } from '../oci/reference.ts';
import type { ManifestHead } from '../registry/manifest.ts';
import { isLayer } from '../registry/layer.ts';
import type { Registry } from '../registry/registry.ts';
import { copyFailure, Waiting } from './copy-failure.ts';
import { forEach } from './for-each.ts';
import type { Remover } from './remove.ts';
import { PRIORITY, WHOLE_REPOSITORY, type Counts, type Outcome, type Row, type RowStore } from './rows.ts';
import { walkTags } from './walk.ts';

/**
 * `off`: nothing is ever removed. `suspended`: all wait for a person. `seen`: only what was brought from this primary is
 * removed, the rest waits.
 */
export type RemovalMode = 'on' | 'off' | 'seen' | 'suspended';

/** What removals need. */
export interface RemovalDeps {
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly rows: RowStore;
  readonly remover: Remover;
  readonly mode: () => Promise<RemovalMode>;
  /** A removed manifest is to be forgotten by whoever remembers it. */
  readonly onRemoved: (name: string, digest: Digest) => void;
  readonly clock?: () => number;
}

/** `share` of a site's tags may be removed in 24 h; `timeout` in milliseconds. */
export interface RemovalOptions {
  readonly share: number;
  readonly timeout?: number;
}

/** Removals, one after the other. */
export interface Removals {
  /** Removes what the primary does not have, if that may be. @throws CopyFailed */
  remove(row: Row, reference: Reference): Promise<Outcome>;
  /** The outcome of this row is on disk: the next removal counts it. */
  finished(row: Row): void;
}

/** However few tags a site has, so many may be removed in 24 h; but where nothing may be. */
const REMOVAL_MIN = 10;
const HEADS_AT_ONCE = 8;

// The removal that was begun last: should nobody get to write down how it ended, it counts all the same.
const BEGUN = 'removal.begun';

/** How many references may be removed in 24 h, as things stand. */
export function removalLimit({ states, queue, removalsLastDay }: Counts, share: number): number {
  if (share === 0) return 0;
  // What was removed was here, too; what waits to be brought by the first backfill is not.
  const all = Object.values(states).reduce((sum, count) => sum + count, removalsLastDay) - queue.backfill;
  return Math.max(REMOVAL_MIN, Math.floor(all * share));
}

function keyOf({ id, generation }: Row): string {
  return `${id}/${generation}`;
}

/** @see Removals */
export function createRemovals(deps: RemovalDeps, { share, timeout = 30_000 }: RemovalOptions): Removals {
  const { primary, secondary, rows, remover, onRemoved, clock = Date.now } = deps;
  // The limit is read before each removal, and has to count the one before.
  const oneByOne = createSlots(1);
  /** By the row as it was claimed: the same reference may be removed once more. */
  const releases = new Map<Row, () => void>();
  let begun: unknown;

  async function begin(row: Row): Promise<void> {
    begun = keyOf(row);
    await rows.setFact(BEGUN, begun);
  }

  async function wasBegun(row: Row): Promise<boolean> {
    begun ??= await rows.getFact(BEGUN);
    return begun === keyOf(row);
  }

  async function mayRemove(row: Row): Promise<boolean> {
    if (row.isConfirmed) return true;
    // Once held it waits for a person, also when the day's limit would let it go by now.
    if (row.isHeld) return false;
    const mode = await deps.mode();
    if (mode === 'suspended' || (mode === 'seen' && row.syncedAt === undefined)) return false;
    const counts = await rows.counts(clock());
    return counts.removalsLastDay < removalLimit(counts, share);
  }

  /** What a registry has for a reference; undefined where it says that it has nothing. */
  async function headAt(
    registry: Registry,
    at: 'primary' | 'secondary',
    name: string,
    reference: Reference,
  ): Promise<ManifestHead | undefined> {
    const answer = await registry.manifests.head(name, reference, timeout);
    if (answer.kind === 'found') return answer.value;
    if (answer.kind === 'missing') return undefined;
    // A blob that was deleted at the primary: there is no such manifest here, and the blob is none of a row's business.
    if (at === 'secondary' && 'digest' in reference) {
      if (await isLayer(registry, name, reference.digest, answer, timeout)) return undefined;
    }
    throw copyFailure('what is to be removed', answer, at);
  }

  /** All tags of the secondary that are known in any way: a list may lack some. */
  async function tagsHere(name: string): Promise<ReadonlySet<string>> {
    const tags = new Set<string>();
    for await (const page of walkTags(secondary, name, timeout)) for (const tag of page) tags.add(tag);
    for (const { reference } of await rows.list({ repository: name })) {
      if (!isDigest(reference) && reference !== WHOLE_REPOSITORY) tags.add(reference);
    }
    return tags;
  }

  /** A digest takes its tags along: each of them has to go, or to move, by itself first. @throws Waiting */
  async function refuseTagged(row: Row, digest: Digest): Promise<void> {
    const { repository } = row;
    const tags: string[] = [];
    await forEach(await tagsHere(repository), HEADS_AT_ONCE, async (tag) => {
      if ((await headAt(secondary, 'secondary', repository, { tag }))?.digest === digest) tags.push(tag);
    });
    if (tags.length === 0) return;
    const marks = tags.map((reference) => ({ repository, reference, priority: row.priority }));
    await rows.mark(marks, clock());
    // Removals come one after the other, in the order of their marks.
    throw new Waiting(tags.at(-1)!, `manifest ${digest}`, `still tagged here: ${tags.slice(0, 5).join(', ')}`);
  }

  /** A tag that was put on the digest while it was deleted went along; its row says where it was. */
  async function markLost(row: Row, digest: Digest): Promise<void> {
    const { repository } = row;
    const lost = (await rows.list({ repository })).filter(
      ({ id, localDigest }) => id !== row.id && localDigest === digest,
    );
    await rows.mark(
      lost.map(({ reference }) => ({ repository, reference, priority: PRIORITY.event })),
      clock(),
    );
  }

  async function carryOut(row: Row, reference: Reference): Promise<void> {
    const { repository: name } = row;
    if ('tag' in reference) return remover.removeTag(name, reference.tag);
    await remover.removeManifest(name, reference.digest);
    await markLost(row, reference.digest);
  }

  /** It may have been pushed again while it was removed: then all begins anew. */
  async function lookAgain(row: Row, reference: Reference): Promise<void> {
    const { repository, reference: text } = row;
    const there = await primary.manifests.head(repository, reference, timeout);
    if (there.kind === 'missing') return;
    await rows.mark([{ repository, reference: text, priority: PRIORITY.event }], clock());
  }

  async function inTurn(row: Row, reference: Reference, here: ManifestHead): Promise<Outcome> {
    const { repository: name } = row;
    if (!(await mayRemove(row))) return { kind: 'held' };
    if ('digest' in reference) await refuseTagged(row, reference.digest);
    // The primary has it again: it is to be copied, and not to be removed.
    if (await headAt(primary, 'primary', name, reference)) return { kind: 'released', nextAttempt: clock() };
    await begin(row);
    await carryOut(row, reference);
    onRemoved(name, here.digest);
    await lookAgain(row, reference);
    return { kind: 'gone', isRemoval: true };
  }

  async function remove(row: Row, reference: Reference): Promise<Outcome> {
    if ((await deps.mode()) === 'off') return { kind: 'gone', isRemoval: false };
    const here = await headAt(secondary, 'secondary', row.repository, reference);
    if (!here) return { kind: 'gone', isRemoval: await wasBegun(row) };
    const release = await oneByOne.take({ priority: 'on-demand' });
    let outcome: Outcome | undefined;
    try {
      outcome = await inTurn(row, reference, here);
      return outcome;
    } finally {
      if (outcome?.kind === 'gone') releases.set(row, release);
      else release();
    }
  }

  return {
    remove,
    finished(row) {
      releases.get(row)?.();
      releases.delete(row);
    },
  };
}
