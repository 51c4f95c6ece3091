// Syncing one row: what the primary says of its reference now is what the secondary has to have, whatever marked the row.
import { isDigest, type Digest } from '../oci/digest.ts';
import { isTag, type Reference } from '../oci/reference.ts';
import { isLayer } from '../registry/layer.ts';
import { copyFailure, CopyFailed, SecondaryReadOnly, Waiting } from './copy-failure.ts';
import type { Copier, CopyResult } from './copy.ts';
import type { Outages, SiteOutage } from './outage.ts';
import type { Referrers } from './referrers.ts';
import type { Removals } from './removal.ts';
import type { RepositoryWalk } from './repository-walk.ts';
import { retryAt } from './retry.ts';
import type { Outcome } from './row-queue.ts';
import { PRIORITY, PUT_OFF_MAX, WHOLE_REPOSITORY, type Row } from './row.ts';
import { ANSWER_TIMEOUT, type Site } from './site.ts';

/** What syncing is made of. */
export interface SyncParts {
  readonly copier: Copier;
  readonly removals: Removals;
  readonly referrers: Referrers;
  readonly repositoryWalk: RepositoryWalk;
  readonly outages: Outages;
  /** Off: only what clients pulled is stored. */
  readonly isOn: boolean;
  /** All claims are to pause. */
  readonly onOutage: (outage: SiteOutage) => void;
}

// Distribution sends the event of a push before it writes the tag. While the last event is younger (ms), a 404 is asked
// again, and the digest of before may be that of an earlier push. After the event of a deletion a 404 is expected.
const YOUNG = 3_000;
const LOOK_AGAIN = 500;
const SETTLED = 1_000;

// A row that waits for another reference is due with that; at the latest after this time (ms).
const WAIT_FOR_TAG = 600_000;
const WAIT_FOR_OTHER = PUT_OFF_MAX;

const LEFT_ALONE: Outcome = { kind: 'gone', isRemoval: false };

function unsupported({ reason: error, digest }: Extract<CopyResult, { kind: 'unsupported' }>): Outcome {
  return { kind: 'unsupported', error, ...(digest ? { digest } : {}) };
}

/** Syncs rows, as a worker claims them. */
export class RowSync {
  readonly #site: Site;
  readonly #parts: SyncParts;
  #isReadOnly = false;

  constructor(site: Site, parts: SyncParts) {
    this.#site = site;
    this.#parts = parts;
  }

  /** Works on one claimed row; does not reject for what a registry does. */
  async sync(row: Row): Promise<Outcome> {
    // A repository that is no longer replicated, or that another system replicates, is left as it is.
    const isOurs = this.#site.isReplicated(row.repository) && (this.#parts.isOn || row.priority === PRIORITY.onDemand);
    if (!isOurs) return LEFT_ALONE;
    try {
      return await this.#syncRow(row);
    } catch (error) {
      return this.#failed(row, error);
    }
  }

  async #syncRow(row: Row): Promise<Outcome> {
    const { repository, reference } = row;
    if (reference !== WHOLE_REPOSITORY) {
      return isDigest(reference) ? this.#syncDigest(row, reference) : this.#syncTag(row, reference);
    }
    await this.#parts.repositoryWalk.markAll(repository, row);
    return LEFT_ALONE;
  }

  async #syncTag(row: Row, tag: string): Promise<Outcome> {
    const { clock } = this.#site;
    const settlesIn = (): number => SETTLED - this.#ageOf(row);
    const later = (): Outcome => ({ kind: 'released', nextAttempt: clock() + Math.max(0, settlesIn()) });
    if (settlesIn() > 0 && (await this.#isUnmoved(row, tag))) return later();
    const outcome = await this.#copy(row, { tag });
    if (!outcome) return this.#remove(row, { tag });
    // This may have been the last but one of several pushes.
    const isOneOfMany = outcome.kind === 'synced' && row.eventAt !== undefined && row.markedAt > row.eventAt;
    return isOneOfMany && settlesIn() > 0 ? later() : outcome;
  }

  /** The primary is asked first: a manifest that is in memory would be copied without it. */
  async #syncDigest(row: Row, digest: Digest): Promise<Outcome> {
    const what = `manifest ${digest}`;
    const { primary } = this.#site;
    const head = await primary.manifests.head(row.repository, { digest }, ANSWER_TIMEOUT);
    if (head.kind === 'missing') return this.#remove(row, { digest });
    // The event of a blob's deletion looks like that of a manifest's.
    if (head.kind !== 'found' && (await isLayer(primary, row.repository, digest, head, ANSWER_TIMEOUT))) {
      return LEFT_ALONE;
    }
    if (head.kind !== 'found') throw copyFailure(what, head, 'primary');
    const outcome = await this.#copy(row, { digest });
    if (outcome) return outcome;
    throw new CopyFailed(what, 'the primary names it, but does not give it');
  }

  /** Copies the reference; undefined where the primary does not have it. @throws CopyFailed */
  async #copy(row: Row, reference: Reference): Promise<Outcome | undefined> {
    const { copier, referrers, isOn } = this.#parts;
    const { repository: name, priority } = row;
    await this.#checkWritable(name);
    const result = await copier.copy(name, reference);
    if (result.kind === 'gone') return undefined;
    if (result.kind === 'unsupported') return unsupported(result);
    const { digest, bytes, manifests } = result;
    if (isOn) await referrers.mark(name, manifests, priority);
    if (priority === PRIORITY.onDemand) await referrers.markTags(name, digest);
    return { kind: 'synced', digest, bytes, manifests };
  }

  async #remove(row: Row, reference: Reference): Promise<Outcome> {
    if (this.#ageOf(row) < YOUNG) return { kind: 'released', nextAttempt: this.#site.clock() + LOOK_AGAIN };
    return this.#parts.removals.remove(row, reference);
  }

  /** Once the secondary took no writes it is asked before anything is fetched for it. */
  async #checkWritable(name: string): Promise<void> {
    if (!this.#isReadOnly) return;
    const session = await this.#site.secondary.uploads.start(name, ANSWER_TIMEOUT);
    if (session.kind === 'unsupported') throw new SecondaryReadOnly(name);
    this.#isReadOnly = false;
  }

  /** How old (ms) the event of the last push is; a clock may have been put back. */
  #ageOf({ pushedAt }: Row): number {
    return pushedAt === undefined ? Infinity : Math.abs(this.#site.clock() - pushedAt);
  }

  /** Whether the tag at the primary means what the secondary has already. */
  async #isUnmoved({ repository, localDigest }: Row, tag: string): Promise<boolean> {
    if (!localDigest) return false;
    const head = await this.#site.primary.manifests.head(repository, { tag }, ANSWER_TIMEOUT);
    return head.kind === 'found' && head.value.digest === localDigest;
  }

  /** An attempt is counted only for an error of the row itself. */
  async #failed(row: Row, error: unknown): Promise<Outcome> {
    const { clock } = this.#site;
    if (error instanceof Waiting) return this.#waiting(error);
    const outage = await this.#parts.outages.find(error);
    if (!outage) {
      return { kind: 'failed', error: (error as Error).message, nextAttempt: retryAt(row.attempts + 1, clock()) };
    }
    if (error instanceof SecondaryReadOnly) this.#isReadOnly = true;
    this.#parts.onOutage(outage);
    return { kind: 'released', nextAttempt: clock() + outage.pause };
  }

  #waiting({ message, waitsFor }: Waiting): Outcome {
    const longest = isTag(waitsFor) ? WAIT_FOR_TAG : WAIT_FOR_OTHER;
    const nextAttempt = this.#site.clock() + longest * (0.75 + Math.random() / 4);
    return { kind: 'waiting', error: message, waitsFor, nextAttempt };
  }
}
