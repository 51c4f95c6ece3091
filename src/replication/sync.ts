// Syncing one row: what the primary says of the reference now is what has to be here, whatever marked the row.
import { isDigest, type Digest } from '../oci/digest.ts';
import { isTag, type Reference } from '../oci/reference.ts';
import { isLayer } from '../registry/layer.ts';
import type { Registry } from '../registry/registry.ts';
import { copyFailure, CopyFailed, SecondaryReadOnly, Waiting } from './copy-failure.ts';
import type { Copy, CopyResult } from './copy.ts';
import type { MarkReferrers, MarkReferrerTags } from './referrers.ts';
import type { Removals } from './removal.ts';
import { PRIORITY, PUT_OFF_MAX, WHOLE_REPOSITORY, type Outcome, type Row } from './rows.ts';
import type { FindTrouble, Trouble } from './trouble.ts';
import { retryAt, type Sync } from './worker.ts';

/** What syncing needs; `clock` in milliseconds since the epoch. */
export interface SyncDeps {
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly copy: Copy;
  readonly removals: Pick<Removals, 'remove'>;
  readonly markReferrers: MarkReferrers;
  readonly markReferrerTags: MarkReferrerTags;
  /** Marks everything that a repository has, at the primary or here. @throws WalkFailed */
  readonly markRepository: (name: string, row: Row) => Promise<void>;
  /** Whether the repository is (still) replicated. */
  readonly isReplicated: (name: string) => boolean;
  /** Off: only what clients pulled is stored. */
  readonly isOn: boolean;
  readonly findTrouble: FindTrouble;
  /** Told of what stands in the way of all rows: all claims pause. */
  readonly onTrouble: (trouble: Trouble) => void;
  readonly clock?: () => number;
}

// Distribution sends the event of a push before it writes the tag. Until the last one is so old (ms) a 404 says nothing,
// and is asked again, and what the tag meant before may be what an earlier push made of it. After the event of a
// deletion a 404 is what it told of.
const YOUNG = 3_000;
const LOOK_AGAIN = 500;
const SETTLED = 1_000;

// What waits for another reference is due with that: its own time (ms) is for what nobody tells of.
const WAIT_FOR_TAG = 600_000;
const WAIT_FOR_OTHER = PUT_OFF_MAX;

const LEFT_ALONE: Outcome = { kind: 'gone', isRemoval: false };

function unsupported({ reason: error, digest }: Extract<CopyResult, { kind: 'unsupported' }>): Outcome {
  return { kind: 'unsupported', error, ...(digest ? { digest } : {}) };
}

/** @see Sync; `timeout` in milliseconds. */
export function createSync(deps: SyncDeps, { timeout = 30_000 }: { timeout?: number } = {}): Sync {
  const { primary, secondary, copy, removals, clock = Date.now } = deps;
  let isReadOnly = false;

  /** Once it took no writes it is asked before anything is fetched for it. */
  async function checkWritable(name: string): Promise<void> {
    if (!isReadOnly) return;
    const session = await secondary.uploads.start(name, timeout);
    if (session.kind === 'unsupported') throw new SecondaryReadOnly(name, 'the secondary takes no writes');
    isReadOnly = false;
  }

  async function copied(row: Row, reference: Reference): Promise<Outcome | undefined> {
    const { repository: name } = row;
    await checkWritable(name);
    const result = await copy(name, reference);
    if (result.kind === 'gone') return undefined;
    if (result.kind === 'unsupported') return unsupported(result);
    if (deps.isOn) await deps.markReferrers(name, result.manifests, row.priority);
    if (row.priority === PRIORITY.onDemand) await deps.markReferrerTags(name, result.digest);
    const { digest, bytes, manifests } = result;
    return { kind: 'synced', digest, bytes, manifests };
  }

  /** How old (ms) the event of the last push is; a clock may have been put back. */
  function ageOf({ pushedAt }: Row): number {
    return pushedAt === undefined ? Infinity : Math.abs(clock() - pushedAt);
  }

  async function gone(row: Row, reference: Reference): Promise<Outcome> {
    if (ageOf(row) < YOUNG) return { kind: 'released', nextAttempt: clock() + LOOK_AGAIN };
    return removals.remove(row, reference);
  }

  /** Whether the tag means what is here already, as far as the primary says at once. */
  async function isUnmoved({ repository, localDigest }: Row, tag: string): Promise<boolean> {
    if (!localDigest) return false;
    const there = await primary.manifests.head(repository, { tag }, timeout);
    return there.kind === 'found' && there.value.digest === localDigest;
  }

  async function syncTag(row: Row, tag: string): Promise<Outcome> {
    const settlesIn = (): number => SETTLED - ageOf(row);
    const later = (): Outcome => ({ kind: 'released', nextAttempt: clock() + Math.max(0, settlesIn()) });
    if (settlesIn() > 0 && (await isUnmoved(row, tag))) return later();
    const outcome = await copied(row, { tag });
    if (!outcome) return gone(row, { tag });
    // Of several pushes in a row this may have been the last but one.
    const isOneOfMany = outcome.kind === 'synced' && row.eventAt !== undefined && row.markedAt > row.eventAt;
    return isOneOfMany && settlesIn() > 0 ? later() : outcome;
  }

  /** The primary is asked first: a manifest that is in memory would be copied without it. */
  async function syncDigest(row: Row, digest: Digest): Promise<Outcome> {
    const what = `manifest ${digest}`;
    const there = await primary.manifests.head(row.repository, { digest }, timeout);
    if (there.kind === 'missing') return gone(row, { digest });
    // The event of a blob's deletion does not tell it from a manifest's.
    if (there.kind !== 'found' && (await isLayer(primary, row.repository, digest, there, timeout))) return LEFT_ALONE;
    if (there.kind !== 'found') throw copyFailure(what, there, 'primary');
    const outcome = await copied(row, { digest });
    if (outcome) return outcome;
    throw new CopyFailed(what, 'the primary names it, but does not give it');
  }

  async function syncRow(row: Row): Promise<Outcome> {
    const { repository: name, reference: text } = row;
    if (text !== WHOLE_REPOSITORY) return isDigest(text) ? syncDigest(row, text) : syncTag(row, text);
    await deps.markRepository(name, row);
    return LEFT_ALONE;
  }

  function waiting({ message, waitsFor }: Waiting): Outcome {
    const longest = isTag(waitsFor) ? WAIT_FOR_TAG : WAIT_FOR_OTHER;
    const nextAttempt = clock() + longest * (0.75 + Math.random() / 4);
    return { kind: 'waiting', error: message, waitsFor, nextAttempt };
  }

  /** An attempt is burned only where the row itself is to blame. */
  async function failed(row: Row, error: unknown): Promise<Outcome> {
    if (error instanceof Waiting) return waiting(error);
    const trouble = await deps.findTrouble(error);
    if (!trouble) {
      return { kind: 'failed', error: (error as Error).message, nextAttempt: retryAt(row.attempts + 1, clock()) };
    }
    if (error instanceof SecondaryReadOnly) isReadOnly = true;
    deps.onTrouble(trouble);
    return { kind: 'released', nextAttempt: clock() + trouble.pause };
  }

  return async (row) => {
    // What is not replicated any more, or by another system, is none of ours: it is left as it is.
    const isOurs = deps.isReplicated(row.repository) && (deps.isOn || row.priority === PRIORITY.onDemand);
    if (!isOurs) return LEFT_ALONE;
    try {
      return await syncRow(row);
    } catch (error) {
      return failed(row, error);
    }
  };
}
