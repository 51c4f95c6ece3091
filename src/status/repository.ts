// One repository with its tags, and one level of the tree of groups, as the page browses them.
import type { RowStore, ShownState } from '../replication/rows.ts';
import type { Groups, ListedTag, Pull, Repository } from './api.ts';
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

/** What repositories are told from; `recent` gives the last pulls, newest first. */
export interface BrowseDeps {
  readonly rows: Pick<RowStore, 'repositorySummaries' | 'list' | 'groups'>;
  readonly recent: () => readonly Pull[];
}

/** What the page browses. Any may throw StoreUnavailable. */
export interface Browse {
  repository(request: RepositoryRequest): Promise<Repository>;
  groups(request: GroupsRequest): Promise<Groups>;
}

const NO_ROWS = { pending: 0, syncing: 0, synced: 0, recheck: 0, failed: 0, unsupported: 0 };

/** @see Browse */
export function createBrowse({ rows, recent }: BrowseDeps): Browse {
  /** When the references of a repository were last pulled, as far as the last pulls tell. */
  function lastPulls(name: string): ReadonlyMap<string, string> {
    const pulls = recent().filter(({ repository, kind, status }) => {
      return repository === name && kind === 'manifest' && status < 400;
    });
    // The newest is first, and set last.
    return new Map(pulls.toReversed().flatMap(({ reference, at }) => (reference === null ? [] : [[reference, at]])));
  }

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
      const pulled = lastPulls(name);
      const page = found.slice(0, limit).map((row): ListedTag => {
        return { ...listedRow(row), lastPulledAt: pulled.get(row.reference) ?? null, size: null, platforms: [] };
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
