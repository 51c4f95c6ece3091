// Looking for what is here only: tags of the secondary that the primary does not have, and that nobody saw there since
// the first start. None of them means that the primary is the right one, or that nothing can be lost.
import type { Registry } from '../registry/registry.ts';
import { forEach } from './for-each.ts';
import type { RowStore } from './rows.ts';
import { walkRepositories, walkTags, WalkFailed } from './walk.ts';

/** A tag that is here only. */
export interface Surplus {
  readonly repository: string;
  readonly tag: string;
}

/** Finds one surplus tag; undefined where there is none. @throws WalkFailed where a registry does not tell */
export type FindSurplus = (signal: AbortSignal) => Promise<Surplus | undefined>;

/** What looking needs. */
export interface SurplusDeps {
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly rows: Pick<RowStore, 'find'>;
  readonly isReplicated: (name: string) => boolean;
}

const HEADS_AT_ONCE = 8;

/** Lists of both sides are read, and the primary is asked only for what its list lacks; `timeout` in milliseconds. */
export function createFindSurplus(deps: SurplusDeps, { timeout = 30_000 } = {}): FindSurplus {
  const { primary, secondary, rows, isReplicated } = deps;

  async function isSurplus(repository: string, tag: string): Promise<boolean> {
    const there = await primary.manifests.head(repository, { tag }, timeout);
    if (there.kind === 'found') return false;
    if (there.kind !== 'missing') throw new WalkFailed(`${repository}:${tag}`, there);
    return (await rows.find(repository, tag))?.syncedAt === undefined;
  }

  async function findIn(repository: string, signal: AbortSignal): Promise<Surplus | undefined> {
    const there = new Set<string>();
    for await (const page of walkTags(primary, repository, timeout)) for (const tag of page) there.add(tag);
    let found: Surplus | undefined;
    for await (const page of walkTags(secondary, repository, timeout)) {
      const candidates = page.filter((tag) => !there.has(tag));
      await forEach(candidates, HEADS_AT_ONCE, async (tag) => {
        signal.throwIfAborted();
        if (!found && (await isSurplus(repository, tag))) found = { repository, tag };
      });
      if (found) return found;
    }
    return undefined;
  }

  return async (signal) => {
    for await (const { names } of walkRepositories(secondary, { timeout })) {
      for (const name of names.filter(isReplicated)) {
        signal.throwIfAborted();
        const found = await findIn(name, signal);
        if (found) return found;
      }
    }
    return undefined;
  };
}
