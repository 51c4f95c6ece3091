// Surplus: tags that only the secondary has, and that were never synced from this primary. Where there are none, the
// primary is the right one, or there is nothing to lose.
import { forEach } from './for-each.ts';
import { ANSWER_TIMEOUT, type Site } from './site.ts';
import { walkRepositories, walkTags, WalkFailed } from './walk.ts';

/** A tag that only the secondary has. */
export interface Surplus {
  readonly repository: string;
  readonly tag: string;
}

const HEADS_AT_ONCE = 8;

async function isSurplus({ primary, rows }: Site, repository: string, tag: string): Promise<boolean> {
  const head = await primary.manifests.head(repository, { tag }, ANSWER_TIMEOUT);
  if (head.kind === 'found') return false;
  if (head.kind !== 'missing') throw new WalkFailed(`${repository}:${tag}`, head);
  return (await rows.find(repository, tag))?.syncedAt === undefined;
}

/** Both lists are read; the primary is asked only for tags that its list lacks. */
async function findIn(site: Site, repository: string, signal: AbortSignal): Promise<Surplus | undefined> {
  const listed = new Set<string>();
  for await (const page of walkTags(site.primary, repository)) for (const tag of page) listed.add(tag);
  let found: Surplus | undefined;
  for await (const page of walkTags(site.secondary, repository)) {
    const candidates = page.filter((tag) => !listed.has(tag));
    await forEach(candidates, HEADS_AT_ONCE, async (tag) => {
      signal.throwIfAborted();
      if (!found && (await isSurplus(site, repository, tag))) found = { repository, tag };
    });
    if (found) return found;
  }
  return undefined;
}

/** Finds one surplus tag; undefined where there is none. @throws WalkFailed where a registry does not answer */
export async function findSurplus(site: Site, signal: AbortSignal): Promise<Surplus | undefined> {
  for await (const { names } of walkRepositories(site.secondary)) {
    for (const name of names.filter(site.isReplicated)) {
      signal.throwIfAborted();
      const found = await findIn(site, name, signal);
      if (found) return found;
    }
  }
  return undefined;
}
