// The repositories that a run visits: from a list of names, from catalogs, and from the rows.
import type { Registry } from '../registry/registry.ts';
import type { Site } from './site.ts';
import { walkRepositories, WalkFailed, type Repositories } from './walk.ts';

/** Names instead of the primary's catalog, where it has none. */
export type ListedRepositories = () => Promise<readonly string[] | undefined>;

/** A catalog; nothing, with a warning, where the registry has none. */
async function* catalogOf(registry: Registry, { primary, log }: Site): AsyncGenerator<readonly string[]> {
  try {
    for await (const { names } of walkRepositories(registry)) yield names;
  } catch (error) {
    const kind = error instanceof WalkFailed ? error.failure.kind : 'unavailable';
    if (kind === 'unavailable' || kind === 'busy') throw error;
    const hint = registry === primary ? ': name its repositories in GEO_REPOSITORIES_FILE' : '';
    log.warn({ registry: registry.client.registry, reason: kind }, `no catalog${hint}`);
  }
}

/** All repositories of both registries that are known in any way; some more than once. */
export async function* allRepositories(site: Site, listed: ListedRepositories): AsyncGenerator<readonly string[]> {
  const names = await listed();
  if (names) yield names;
  else yield* catalogOf(site.primary, site);
  yield await site.rows.repositories();
  yield* catalogOf(site.secondary, site);
}

/** The repositories of the primary, from a cursor on. @throws WalkFailed where it has no catalog, too */
export async function* primaryRepositories(
  { primary }: Pick<Site, 'primary'>,
  listed: ListedRepositories,
  cursor: string | undefined,
): AsyncGenerator<Repositories> {
  const names = await listed();
  if (names) yield { names, cursor: undefined };
  else yield* walkRepositories(primary, { cursor });
}
