// Referrers: signatures, SBOMs and whatever else points at a manifest as its subject. They have no tags; those that have
// one (`sha256-<hex>`) come with the tags.
import type { Digest } from '../oci/digest.ts';
import type { Registry } from '../registry/registry.ts';
import type { Mark, RowPriority, RowStore } from './rows.ts';
import { walkReferrers, WalkFailed } from './walk.ts';

/** Marks what refers to manifests at the primary and is not known here; answers how many. @throws WalkFailed */
export type MarkReferrers = (name: string, digests: readonly Digest[], priority: RowPriority) => Promise<number>;

/** What it needs. */
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
