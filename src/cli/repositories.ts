// The command `repositories`, which is also `status --repository`: a line for each repository.
import type { Config } from '../config/config.ts';
import type { RepositoryFilter } from '../config/repository-filter.ts';
import { counted, countText, fromNow, visibleText } from '../status/figures.ts';
import type { ListedRepository } from '../status/repository-listing.ts';
import { EXIT } from './exit-code.ts';
import { repositoriesOf, requireKnown } from './known-repository.ts';
import { withSite } from './site.ts';
import { columnsOf, createStyle, shortened, table, widthOf, type Style } from './terminal.ts';

/** What the command line gives. */
export interface RepositoriesOptions {
  readonly repository?: RepositoryFilter;
  readonly failed?: true;
  readonly json?: true;
  readonly full?: true;
}

const HEADINGS = ['repository', 'tags', 'synced', 'queued', 'failed', 'unsupported', 'last synced', 'checksum'];
const CHECKSUM = 12;

function countCell(count: number, style: (text: string) => string): string {
  return count === 0 ? '-' : style(countText(count));
}

function rowOf(repository: ListedRepository, { now, style, full }: Look): string[] {
  const { name, tags, syncedAt, checksum } = repository;
  const all = Object.values(tags).reduce((sum, count) => sum + count, 0);
  const { synced, failed, unsupported } = tags;
  return [
    visibleText(name),
    countText(all),
    countCell(synced, style.good),
    countCell(all - synced - failed - unsupported, style.warn),
    countCell(failed, style.bad),
    countCell(unsupported, style.warn),
    syncedAt === null ? 'never' : fromNow(syncedAt, now),
    !checksum ? '-' : full ? checksum : checksum.slice(0, CHECKSUM),
  ];
}

/** How it is shown: `now` in ms; `full` leaves nothing out, however wide that is. */
export interface Look {
  readonly now: number;
  readonly style: Style;
  readonly columns: number;
  readonly full?: boolean | undefined;
}

/** The table of repositories, its names shortened to what the other columns leave. */
export function repositoryLines(repositories: readonly ListedRepository[], look: Look): string[] {
  const { style, columns, full } = look;
  const rows = [HEADINGS, ...repositories.map((repository) => rowOf(repository, look))];
  const plain = table(rows.map(([, ...rest]) => ['', ...rest]));
  const width = columns - Math.max(...plain.map((line) => widthOf(line)));
  const [headings, ...lines] = table(
    rows.map(([name = '', ...rest]) => [full ? name : shortened(name, Math.max(width, 16)), ...rest]),
  );
  return [style.dim(headings!), ...lines];
}

function summary(found: readonly ListedRepository[], isFailed: true | undefined): string {
  return `${counted(found.length, 'repository', 'repositories')}${isFailed ? ' with failed images' : ''}`;
}

/**
 * Prints the repositories as a table, or as one page of `GET /api/replication/repositories` that has all; answers the
 * exit code: a person should look where one has failed rows. @throws Error where none matches
 */
export function printRepositories(config: Config, options: RepositoriesOptions): Promise<number> {
  const { repository, failed, json, full } = options;
  return withSite(config, async ({ administration }) => {
    const query = { ...(repository ? { repositories: repository } : {}), ...(failed ? { failed } : {}) };
    const found: ListedRepository[] = [];
    for await (const one of repositoriesOf(administration, query)) found.push(one);
    // A misspelt name must not read as one that does well.
    if (found.length === 0 && repository) await requireKnown(administration, repository);
    const { stdout } = process;
    if (json) stdout.write(`${JSON.stringify({ repositories: found, next: null }, null, 2)}\n`);
    else {
      const look = { now: Date.now(), style: createStyle(stdout), columns: columnsOf(stdout), full };
      const lines = found.length === 0 ? [] : repositoryLines(found, look);
      stdout.write(`${[...lines, look.style.dim(summary(found, failed))].join('\n')}\n`);
    }
    return found.some(({ tags }) => tags.failed > 0) ? EXIT.attention : EXIT.ok;
  });
}
