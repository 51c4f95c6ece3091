// The command `status --repository`: a line for each repository, for a terminal or a script.
import type { Config } from '../config/config.ts';
import type { RepositoryFilter } from '../config/repository-filter.ts';
import type { Administration } from '../status/administration.ts';
import { counted, countText, fromNow, visibleText } from '../status/figures.ts';
import type { ListedRepository } from '../status/repository-listing.ts';
import { EXIT } from './exit-code.ts';
import { withSite } from './site.ts';

// Repositories that are asked for at once.
const PAGE = 100;

async function allOf(administration: Administration, repositories: RepositoryFilter): Promise<ListedRepository[]> {
  const found: ListedRepository[] = [];
  let after: string | null | undefined;
  while (after !== null) {
    const from = after === undefined ? {} : { after };
    const page = await administration.listRepositories({ repositories, limit: PAGE, ...from });
    found.push(...page.repositories);
    after = page.next;
  }
  return found;
}

/** One line: rows by state as far as there are any, verified ones, when it was last synced, and the checksum. */
export function repositoryLine(
  { name, tags, verified, syncedAt, checksum }: ListedRepository,
  now: number,
  width = 0,
): string {
  const all = Object.values(tags).reduce((sum, count) => sum + count, 0);
  const states = Object.entries(tags).filter(([, count]) => count > 0);
  const facts = [
    `${counted(all, 'tag')}: ${states.map(([state, count]) => `${countText(count)} ${state}`).join(', ')}`,
    `${countText(verified)} verified`,
    syncedAt === null ? 'never synced' : `last synced ${fromNow(syncedAt, now)}`,
    `checksum ${checksum ?? 'not known'}`,
  ];
  return `${visibleText(name).padEnd(width)}  ${facts.join('; ')}`;
}

/**
 * Prints the repositories a line each, or as one page of `GET /api/replication/repositories` that has all; answers the
 * exit code: a person should look where one has failed rows. @throws Error where none is known
 */
export function printRepositories(
  config: Config,
  repositories: RepositoryFilter,
  { json }: { readonly json?: true | undefined },
): Promise<number> {
  return withSite(config, async ({ administration }) => {
    const found = await allOf(administration, repositories);
    // A misspelt name must not read as one that does well.
    if (found.length === 0) throw new Error(`no repository is known that matches ${JSON.stringify(repositories.text)}`);
    const width = Math.max(...found.map(({ name }) => visibleText(name).length));
    const lines = json
      ? [JSON.stringify({ repositories: found, next: null }, null, 2)]
      : found.map((repository) => repositoryLine(repository, Date.now(), width));
    process.stdout.write(`${lines.join('\n')}\n`);
    return found.some(({ tags }) => tags.failed > 0) ? EXIT.attention : EXIT.ok;
  });
}
