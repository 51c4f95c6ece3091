// Removal: whether and when something is removed. Only what the primary itself says is gone, for that very reference; no
// more in 24 hours than the limit allows; no tag together with another.
import { createSlots } from '../lib/slots.ts';
import { isDigest, type Digest } from '../oci/digest.ts';
import type { Reference } from '../oci/reference.ts';
import { isLayer } from '../registry/layer.ts';
import type { ManifestHead } from '../registry/manifest.ts';
import { copyFailure, Waiting } from './copy-failure.ts';
import { forEach } from './for-each.ts';
import type { RemovalPolicy } from './removal-policy.ts';
import type { Remover } from './remove.ts';
import type { Outcome } from './row-queue.ts';
import type { Counts } from './row-views.ts';
import { PRIORITY, WHOLE_REPOSITORY, type Row } from './row.ts';
import { ANSWER_TIMEOUT, type Site } from './site.ts';
import { walkTags } from './walk.ts';

/** What removals are made of. */
export interface RemovalParts {
  readonly remover: Pick<Remover, 'removeTag' | 'removeManifest'>;
  readonly policy: Pick<RemovalPolicy, 'mode'>;
  /** A removed manifest is to be forgotten by whoever remembers it. */
  readonly onRemoved: (name: string, digest: Digest) => void;
  /** The share of a site's references that may be removed in 24 h. */
  readonly share: number;
}

/** However few tags a site has, so many may be removed in 24 h; unless the share is 0. */
const REMOVAL_MIN = 10;
const HEADS_AT_ONCE = 8;

// The removal that was begun last: it counts also where the process ends before its outcome is written.
const BEGUN = 'removal.begun';

/** How many references may be removed in 24 h, as things stand. */
export function removalLimit({ states, queue, removalsLastDay }: Counts, share: number): number {
  if (share === 0) return 0;
  // Removed references count as well; those that wait for the first backfill do not.
  const all = Object.values(states).reduce((sum, count) => sum + count, removalsLastDay) - queue.backfill;
  return Math.max(REMOVAL_MIN, Math.floor(all * share));
}

function keyOf({ id, generation }: Row): string {
  return `${id}/${generation}`;
}

/** Removals, one after the other. */
export class Removals {
  readonly #site: Site;
  readonly #parts: RemovalParts;
  // The limit is read before each removal, and has to count the one before.
  readonly #oneByOne = createSlots(1);
  /** By the row as it was claimed: the same reference may be removed once more. */
  readonly #releases = new Map<Row, () => void>();
  #begun: unknown;

  constructor(site: Site, parts: RemovalParts) {
    this.#site = site;
    this.#parts = parts;
  }

  /** Removes what the primary does not have, if that may be. @throws CopyFailed */
  async remove(row: Row, reference: Reference): Promise<Outcome> {
    if ((await this.#parts.policy.mode()) === 'off') return { kind: 'gone', isRemoval: false };
    const head = await this.#headAt('secondary', row.repository, reference);
    if (!head) return { kind: 'gone', isRemoval: await this.#wasBegun(row) };
    const release = await this.#oneByOne.take({ priority: 'on-demand' });
    let outcome: Outcome | undefined;
    try {
      outcome = await this.#removeNow(row, reference, head);
      return outcome;
    } finally {
      if (outcome?.kind === 'gone') this.#releases.set(row, release);
      else release();
    }
  }

  /** The outcome of this row is on disk: the next removal counts it. */
  finished(row: Row): void {
    this.#releases.get(row)?.();
    this.#releases.delete(row);
  }

  async #removeNow(row: Row, reference: Reference, head: ManifestHead): Promise<Outcome> {
    const { repository: name } = row;
    if (!(await this.#mayRemove(row))) return { kind: 'held' };
    if ('digest' in reference) await this.#refuseTagged(row, reference.digest);
    // The primary has it again: it is to be copied, not removed.
    if (await this.#headAt('primary', name, reference)) {
      return { kind: 'released', nextAttempt: this.#site.clock() };
    }
    await this.#begin(row);
    await this.#carryOut(row, reference);
    this.#parts.onRemoved(name, head.digest);
    await this.#lookAgain(row, reference);
    return { kind: 'gone', isRemoval: true };
  }

  async #mayRemove(row: Row): Promise<boolean> {
    const { rows, clock } = this.#site;
    if (row.isConfirmed) return true;
    // Once held it waits for a person, also when the day's limit would allow it by now.
    if (row.isHeld) return false;
    const mode = await this.#parts.policy.mode();
    if (mode === 'suspended' || (mode === 'seen' && row.syncedAt === undefined)) return false;
    const counts = await rows.counts(clock());
    return counts.removalsLastDay < removalLimit(counts, this.#parts.share);
  }

  /** What a registry has for a reference; undefined where it says that it has nothing. @throws CopyFailed */
  async #headAt(at: 'primary' | 'secondary', name: string, reference: Reference): Promise<ManifestHead | undefined> {
    const registry = this.#site[at];
    const answer = await registry.manifests.head(name, reference, ANSWER_TIMEOUT);
    if (answer.kind === 'found') return answer.value;
    if (answer.kind === 'missing') return undefined;
    // The digest of a blob that was deleted at the primary: there is no such manifest, and rows do not remove blobs.
    if (at === 'secondary' && 'digest' in reference) {
      if (await isLayer(registry, name, reference.digest, answer, ANSWER_TIMEOUT)) return undefined;
    }
    throw copyFailure('what is to be removed', answer, at);
  }

  /** Tags of the secondary from its list and from the rows, since a list may lack some. */
  async #tagsOf(name: string): Promise<ReadonlySet<string>> {
    const tags = new Set<string>();
    for await (const page of walkTags(this.#site.secondary, name)) for (const tag of page) tags.add(tag);
    for (const { reference } of await this.#site.rows.list({ repository: name })) {
      if (!isDigest(reference) && reference !== WHOLE_REPOSITORY) tags.add(reference);
    }
    return tags;
  }

  /** With a digest all its tags are removed: each of them has to go, or to move, by itself first. @throws Waiting */
  async #refuseTagged({ repository, priority }: Row, digest: Digest): Promise<void> {
    const tags: string[] = [];
    await forEach(await this.#tagsOf(repository), HEADS_AT_ONCE, async (tag) => {
      if ((await this.#headAt('secondary', repository, { tag }))?.digest === digest) tags.push(tag);
    });
    if (tags.length === 0) return;
    await this.#mark(tags.map((reference) => ({ repository, reference, priority })));
    // Removals come one after the other, in the order of their marks.
    throw new Waiting(tags.at(-1)!, `manifest ${digest}`, `still tagged here: ${tags.slice(0, 5).join(', ')}`);
  }

  async #carryOut(row: Row, reference: Reference): Promise<void> {
    const { remover } = this.#parts;
    if ('tag' in reference) return remover.removeTag(row.repository, reference.tag);
    await remover.removeManifest(row.repository, reference.digest);
    await this.#markLost(row, reference.digest);
  }

  /** A tag that was put on the digest while it was deleted is gone with it; its row says so. */
  async #markLost({ id, repository }: Row, digest: Digest): Promise<void> {
    const others = (await this.#site.rows.list({ repository })).filter((other) => other.id !== id);
    const lost = others.filter(({ localDigest }) => localDigest === digest);
    await this.#mark(lost.map(({ reference }) => ({ repository, reference, priority: PRIORITY.event })));
  }

  /** It may have been pushed again while it was removed: then it is copied again. */
  async #lookAgain({ repository, reference: text }: Row, reference: Reference): Promise<void> {
    const head = await this.#site.primary.manifests.head(repository, reference, ANSWER_TIMEOUT);
    if (head.kind === 'missing') return;
    await this.#mark([{ repository, reference: text, priority: PRIORITY.event }]);
  }

  // The worker need not be woken: it looks for due rows when this one ends.
  async #mark(marks: Parameters<Site['rows']['mark']>[0]): Promise<void> {
    await this.#site.rows.mark(marks, this.#site.clock());
  }

  async #begin(row: Row): Promise<void> {
    this.#begun = keyOf(row);
    await this.#site.rows.setFact(BEGUN, this.#begun);
  }

  async #wasBegun(row: Row): Promise<boolean> {
    this.#begun ??= await this.#site.rows.getFact(BEGUN);
    return this.#begun === keyOf(row);
  }
}
