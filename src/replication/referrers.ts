// Referrers: signatures, SBOMs and whatever else names a manifest as its subject. The primary lists them or, where it has
// no such list, has them under tags of their subject's name.
import type { Digest } from '../oci/digest.ts';
import { referrerTagsOf } from '../oci/referrer-tag.ts';
import type { Queue } from './queue.ts';
import type { Mark } from './row-queue.ts';
import { PRIORITY, type RowPriority } from './row.ts';
import { ANSWER_TIMEOUT, type Site } from './site.ts';
import { walkReferrers, WalkFailed } from './walk.ts';

// A registry that has no list of referrers (Distribution 2 and 3) is not asked for each manifest (ms).
const ABSENT_FOR = 3_600_000;

/** Marks referrers at the primary that have no row yet. */
export class Referrers {
  readonly #site: Pick<Site, 'primary' | 'rows' | 'clock'>;
  readonly #queue: Queue;
  #absentUntil = -Infinity;

  constructor(site: Pick<Site, 'primary' | 'rows' | 'clock'>, queue: Queue) {
    this.#site = site;
    this.#queue = queue;
  }

  /** Marks those that the primary lists for these manifests; answers how many. @throws WalkFailed */
  async mark(name: string, digests: readonly Digest[], priority: RowPriority): Promise<number> {
    const { rows, clock } = this.#site;
    const marks: Mark[] = [];
    for (const digest of digests) {
      if (clock() < this.#absentUntil) break;
      for (const reference of await this.#list(name, digest)) {
        // Syncing a referrer syncs its subject: to mark it again for its subject would never end.
        if (!(await rows.find(name, reference))) marks.push({ repository: name, reference, priority });
      }
    }
    await this.#queue.mark(marks);
    return marks.length;
  }

  /**
   * Marks the tags of referrers of a manifest that a client pulled. Those of other images are found as any tag is: by
   * events and compare runs.
   */
  async markTags(name: string, digest: Digest): Promise<void> {
    const marks = await Promise.all(referrerTagsOf(digest).map((tag) => this.#markOf(name, tag)));
    await this.#queue.mark(marks.filter((mark) => mark !== undefined));
  }

  async #list(name: string, digest: Digest): Promise<readonly Digest[]> {
    const referrers: Digest[] = [];
    try {
      for await (const page of walkReferrers(this.#site.primary, name, digest)) referrers.push(...page);
    } catch (error) {
      if (!(error instanceof WalkFailed && error.failure.kind === 'unsupported')) throw error;
      this.#absentUntil = this.#site.clock() + ABSENT_FOR;
    }
    return referrers;
  }

  async #markOf(repository: string, tag: string): Promise<Mark | undefined> {
    const { primary, rows } = this.#site;
    if (await rows.find(repository, tag)) return undefined;
    const answer = await primary.manifests.head(repository, { tag }, ANSWER_TIMEOUT);
    // After any failure compare runs find it later.
    return answer.kind === 'found' ? { repository, reference: tag, priority: PRIORITY.onDemand } : undefined;
  }
}
