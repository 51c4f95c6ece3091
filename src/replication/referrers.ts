// Referrers: signatures, SBOMs and whatever else points at a manifest as its subject, in the primary's list of them or,
// where it has none, under tags of their subject's name.
import type { Digest } from '../oci/digest.ts';
import { referrerTagsOf } from '../oci/referrer-tag.ts';
import type { Registry } from '../registry/registry.ts';
import { PRIORITY, type Mark, type RowPriority, type RowStore } from './rows.ts';
import { walkReferrers, WalkFailed } from './walk.ts';

/** Marks what refers to manifests at the primary and is not known here; answers how many. @throws WalkFailed */
export type MarkReferrers = (name: string, digests: readonly Digest[], priority: RowPriority) => Promise<number>;

/**
 * Marks the tags under which referrers of what a client pulled are at the primary and not known here. Those of all other
 * images come as tags like any: by events and walks.
 */
export type MarkReferrerTags = (name: string, digest: Digest) => Promise<void>;

/** What both need. */
export interface ReferrersDeps {
  readonly primary: Registry;
  readonly rows: Pick<RowStore, 'find' | 'mark'>;
  readonly clock?: () => number;
}

// A registry that has no list of referrers (Distribution 2 and 3) is not asked for each manifest (ms).
const ABSENT_FOR = 3_600_000;

/** @see MarkReferrers */
export function createMarkReferrers({ primary, rows, clock = Date.now }: ReferrersDeps): MarkReferrers {
  let absentUntil = -Infinity;

  async function referrersOf(name: string, digest: Digest): Promise<readonly Digest[]> {
    const referrers: Digest[] = [];
    try {
      for await (const page of walkReferrers(primary, name, digest)) referrers.push(...page);
    } catch (error) {
      if (!(error instanceof WalkFailed && error.failure.kind === 'unsupported')) throw error;
      absentUntil = clock() + ABSENT_FOR;
    }
    return referrers;
  }

  return async (name, digests, priority) => {
    const marks: Mark[] = [];
    for (const digest of digests) {
      if (clock() < absentUntil) break;
      for (const reference of await referrersOf(name, digest)) {
        // Its own sync looks at its subject again: what has a row is not marked, or it would never end.
        if (!(await rows.find(name, reference))) marks.push({ repository: name, reference, priority });
      }
    }
    if (marks.length > 0) await rows.mark(marks, clock());
    return marks.length;
  };
}

/** @see MarkReferrerTags; `timeout` in milliseconds. */
export function createMarkReferrerTags(
  { primary, rows, clock = Date.now }: ReferrersDeps,
  { timeout = 30_000 } = {},
): MarkReferrerTags {
  async function markOf(repository: string, tag: string): Promise<Mark | undefined> {
    if (await rows.find(repository, tag)) return undefined;
    const there = await primary.manifests.head(repository, { tag }, timeout);
    // Whatever else is said of it, walks find it later.
    return there.kind === 'found' ? { repository, reference: tag, priority: PRIORITY.onDemand } : undefined;
  }

  return async (name, digest) => {
    const marks = await Promise.all(referrerTagsOf(digest).map((tag) => markOf(name, tag)));
    const found = marks.filter((mark) => mark !== undefined);
    if (found.length > 0) await rows.mark(found, clock());
  };
}
