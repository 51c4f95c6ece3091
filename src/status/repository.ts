// One repository with its tags, and one level of the tree of groups, as the page browses them.
import type { ShownState } from '../replication/row.ts';
import type { RowStore } from '../replication/rows.ts';
import type { Groups, ListedTag, Repository } from './api.ts';
import { NO_FACTS, type FactsOf } from './image-facts.ts';
import { listedRow } from './row-listing.ts';
import { isoTime } from './time.ts';

/** Which tags of which repository. */
export interface RepositoryRequest {
  readonly name: string;
  /** A part of the reference. */
  readonly search?: string;
  readonly state?: ShownState | '';
  readonly after?: number;
  readonly limit: number;
}

/** Which level of the tree, after which path. */
export interface GroupsRequest {
  readonly parent?: string;
  readonly after?: string;
  readonly limit: number;
}

/** What repositories are told from; `lastPulledAt` is null for what was not pulled since the start. */
export interface BrowseDeps {
  readonly rows: Pick<RowStore, 'repositorySummaries' | 'list' | 'groups'>;
  readonly lastPulledAt: (repository: string, reference: string) => string | null;
  readonly factsOf: FactsOf;
}

/** What the page browses. Any may throw StoreUnavailable. */
export interface Browse {
  repository(request: RepositoryRequest): Promise<Repository>;
  groups(request: GroupsRequest): Promise<Groups>;
}

const NO_ROWS = { pending: 0, syncing: 0, synced: 0, recheck: 0, failed: 0, unsupported: 0 };

/** @see Browse */
export function createBrowse({ rows, lastPulledAt, factsOf }: BrowseDeps): Browse {
  return {
    async repository({ name, search, state, after, limit }) {
      const conditions = {
        ...(search ? { search } : {}),
        ...(state ? { shownStates: [state] } : {}),
        ...(after === undefined ? {} : { after }),
      };
      const [[summary], found] = await Promise.all([
        rows.repositorySummaries({ repository: name, limit: 1 }),
        rows.list({ repository: name, ...conditions, limit: limit + 1 }),
      ]);
      const shown = found.slice(0, limit);
      const digests = shown.map(({ localDigest: digest }) => digest).filter((digest) => digest !== undefined);
      const facts = await factsOf(digests.map((digest) => ({ name, digest })));
      const page = shown.map((row): ListedTag => {
        const known = (row.localDigest && facts.get(row.localDigest)) || NO_FACTS;
        return { ...listedRow(row), lastPulledAt: lastPulledAt(name, row.reference), ...known };
      });
      return {
        name,
        tags: summary?.states ?? NO_ROWS,
        syncedAt: isoTime(summary?.syncedAt),
        rows: page,
        next: found.length > limit ? page.at(-1)!.id : null,
      };
    },

    async groups({ parent = '', after, limit }) {
      const found = await rows.groups(parent, limit + 1, after);
      const children = found.slice(0, limit).map(({ states, ...group }) => ({ ...group, tags: states }));
      return { parent, children, next: found.length > limit ? children.at(-1)!.path : null };
    },
  };
}
