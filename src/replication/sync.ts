// Syncing one row: what the primary says of the reference now is what has to be here, whatever marked the row.
import { LRUCache } from 'lru-cache';
import { createSlots } from '../lib/slots.ts';
import { isDigest, type Digest } from '../oci/digest.ts';
import type { Reference } from '../oci/reference.ts';
import type { Answer } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';
import { CopyFailed, SecondaryReadOnly, type Copy } from './copy.ts';
import type { Remover } from './remove.ts';
import { WHOLE_REPOSITORY, type Outcome, type Row, type RowStore } from './rows.ts';
import { retryAt, type Sync } from './worker.ts';

/** What syncing needs. */
export interface SyncDeps {
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly rows: RowStore;
  readonly copy: Copy;
  readonly remover: Remover;
  /** Marks everything that a repository has, at the primary or here. @throws CopyFailed */
  readonly markRepository: (name: string, row: Row) => Promise<void>;
  /** Whether the repository is (still) replicated. */
  readonly isReplicated: (name: string) => boolean;
  /** `off`: nothing is ever removed. `suspended`: all wait for a person, since the primary is another than before. */
  readonly removals: () => 'on' | 'off' | 'suspended';
  /** Told that the secondary takes no writes; all claims pause. */
  readonly onReadOnly: () => void;
  /** A removed manifest is to be forgotten by whoever remembers it. */
  readonly onRemoved: (name: string, digest: Digest) => void;
  readonly clock?: () => number;
}

/** Times in milliseconds; `removalShare` of all tags may be removed in 24 h, `removalMin` in any case. */
export interface SyncOptions {
  readonly timeout?: number;
  readonly readOnlyPause?: number;
  readonly removalShare: number;
  readonly removalMin?: number;
}

function failure(what: string, answer: Exclude<Answer<unknown>, { kind: 'found' }>): CopyFailed {
  return new CopyFailed(what, answer.kind === 'unavailable' ? answer.reason : answer.kind);
}

// Distribution tells of a push before it has written the tag: right after the event the primary may still say 404, give
// what the tag meant before, or fail. A tag is looked at again this long (ms) after the event that marked it …
const SETTLED_AFTER = 1_000;
// … and a 404 counts only this long after it; until then it is asked again in these steps.
const GONE_AFTER = 5_000;
const GONE_STEP = 200;

/** @see Sync */
export function createSync(deps: SyncDeps, options: SyncOptions): Sync {
  const { primary, secondary, rows, copy, remover, clock = Date.now } = deps;
  const { timeout = 30_000, readOnlyPause = 30_000, removalShare, removalMin = 10 } = options;
  // What a row was synced to while its event was young: if that is still so, there is nothing to copy.
  const young = new LRUCache<number, Extract<Outcome, { kind: 'synced' }>>({ max: 10_000, ttl: 60_000 });
  // Removals go one by one: the limit is read before each, and must count the one before.
  const oneByOne = createSlots(1);

  async function mayRemove(row: Row): Promise<boolean> {
    if (row.isConfirmed) return true;
    if (deps.removals() === 'suspended') return false;
    const { states, removalsLastDay } = await rows.counts(clock());
    const all = Object.values(states).reduce((sum, count) => sum + count, 0);
    return removalsLastDay < Math.max(removalMin, Math.floor(all * removalShare));
  }

  /** Tags of the secondary that stand on a manifest, and that the primary has not given up. */
  async function tagsThatNeed(name: string, digest: Digest): Promise<string[]> {
    const page = await secondary.lists.page({ kind: 'tags', name }, new URLSearchParams(), timeout);
    if (page.kind === 'missing') return [];
    if (page.kind !== 'found') throw failure(`tags of ${name}`, page);
    const { tags } = JSON.parse(page.value.bytes.toString('utf8')) as { tags?: string[] | null };
    const needing: string[] = [];
    for (const tag of tags ?? []) {
      const here = await secondary.manifests.head(name, { tag }, timeout);
      if (here.kind === 'found' && here.value.digest === digest) needing.push(tag);
    }
    return needing;
  }

  /** Events of a deleted blob look like those of a manifest; asked for as a manifest, a linked blob is a 500. */
  async function isBlob(registry: Registry, name: string, reference: Reference): Promise<boolean> {
    return 'digest' in reference && (await registry.blobs.head(name, reference.digest, timeout)).kind === 'found';
  }

  /** Marks tags that nobody looks at yet. */
  async function lookAt(name: string, tags: readonly string[], row: Row): Promise<void> {
    for (const tag of tags) {
      const known = await rows.find(name, tag);
      if (known && known.state !== 'synced') continue;
      await rows.mark([{ repository: name, reference: tag, priority: row.priority }], clock());
    }
  }

  /** The primary has said 404 for this very reference. */
  async function remove(row: Row, reference: Reference): Promise<Outcome> {
    const { repository: name } = row;
    if (deps.removals() === 'off') return { kind: 'gone', isRemoval: false };
    const here = await secondary.manifests.head(name, reference, timeout);
    if (here.kind === 'missing') return { kind: 'gone', isRemoval: false };
    if (here.kind !== 'found') {
      if (await isBlob(secondary, name, reference)) return { kind: 'gone', isRemoval: false };
      throw failure('what is to be removed', here);
    }
    const done = await oneByOne.take({ priority: 'on-demand' });
    try {
      if (!(await mayRemove(row))) return { kind: 'held' };
      if ('tag' in reference) await remover.removeTag(name, reference.tag);
      else {
        // A digest takes all its tags along: each of them has to go by itself first.
        const tags = await tagsThatNeed(name, reference.digest);
        if (tags.length > 0) {
          await lookAt(name, tags, row);
          throw new CopyFailed(`manifest ${reference.digest}`, `still tagged here: ${tags.join(', ')}`);
        }
        await remover.removeManifest(name, reference.digest);
      }
      deps.onRemoved(name, here.value.digest);
      return { kind: 'gone', isRemoval: true };
    } finally {
      done();
    }
  }

  async function syncReference(row: Row, reference: Reference): Promise<Outcome> {
    const { repository: name } = row;
    const there = await primary.manifests.head(name, reference, timeout);
    const age = row.eventAt === undefined ? Infinity : clock() - row.markedAt;
    if (there.kind === 'missing') {
      return age < GONE_AFTER ? { kind: 'released', nextAttempt: clock() + GONE_STEP } : remove(row, reference);
    }
    if (there.kind !== 'found' && (await isBlob(primary, name, reference))) return { kind: 'gone', isRemoval: false };
    if (there.kind !== 'found') throw failure('the primary', there);
    const before = young.get(row.id);
    const outcome = before?.digest === there.value.digest ? before : await bring(name, reference);
    if (outcome.kind !== 'synced' || age >= SETTLED_AFTER) return outcome;
    young.set(row.id, outcome);
    return { kind: 'released', nextAttempt: row.markedAt + SETTLED_AFTER };
  }

  async function bring(name: string, reference: Reference): Promise<Outcome> {
    const result = await copy(name, reference);
    if (result.kind === 'synced') return { kind: 'synced', digest: result.digest, bytes: result.bytes };
    if (result.kind === 'unsupported') return { kind: 'unsupported', error: result.reason };
    // Gone between the two questions: the next attempt finds out.
    return { kind: 'released', nextAttempt: clock() };
  }

  return async (row) => {
    const { repository: name, reference: text } = row;
    if (!deps.isReplicated(name)) return { kind: 'gone', isRemoval: false };
    try {
      if (text === WHOLE_REPOSITORY) {
        await deps.markRepository(name, row);
        return { kind: 'gone', isRemoval: false };
      }
      return await syncReference(row, isDigest(text) ? { digest: text } : { tag: text });
    } catch (error) {
      if (error instanceof SecondaryReadOnly) {
        deps.onReadOnly();
        return { kind: 'released', nextAttempt: clock() + readOnlyPause };
      }
      const message = (error as Error).message;
      return { kind: 'failed', error: message, nextAttempt: retryAt(row.attempts + 1, clock()) };
    }
  };
}
