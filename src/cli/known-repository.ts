// Repositories by name: all of the pages, and what a name that matches none may have meant.
import { editDistance } from '../config/unknown.ts';
import type { RepositoryFilter } from '../config/repository-filter.ts';
import type { Administration } from '../status/administration.ts';
import type { ListedRepository, RepositoryListQuery } from '../status/repository-listing.ts';

// Repositories that are asked for at once.
const PAGE = 100;
// Names that a wrong one is compared with, and those that are shown.
const COMPARED = 5_000;
const SHOWN = 3;

/** The repositories that match, by name. */
export async function* repositoriesOf(
  administration: Pick<Administration, 'listRepositories'>,
  query: Omit<RepositoryListQuery, 'limit' | 'after'>,
): AsyncGenerator<ListedRepository> {
  let after: string | null | undefined;
  while (after !== null) {
    const page = await administration.listRepositories({
      ...query,
      limit: PAGE,
      ...(after === undefined ? {} : { after }),
    });
    yield* page.repositories;
    after = page.next;
  }
}

/** Names that are like a text: they hold it, or few letters differ; the most alike first. */
function likely(text: string, names: readonly string[]): string[] {
  const wanted = text.replaceAll(/\*+|\/+$/g, '');
  const ranked = names.map((name) => {
    const distance = editDistance(wanted, name);
    const isLike = name.includes(wanted) || distance * 3 <= Math.max(name.length, wanted.length);
    return { name, distance, isLike };
  });
  return ranked
    .filter(({ isLike }) => isLike)
    .sort((one, other) => one.distance - other.distance)
    .slice(0, SHOWN)
    .map(({ name }) => name);
}

async function unknownRepository(
  administration: Pick<Administration, 'listRepositories'>,
  { text }: RepositoryFilter,
): Promise<Error> {
  const names: string[] = [];
  for await (const { name } of repositoriesOf(administration, {})) {
    names.push(name);
    if (names.length === COMPARED) break;
  }
  const [first, ...others] = likely(text, names);
  const meant = first === undefined ? '' : ` (did you mean ${[first, ...others].join(' or ')}?)`;
  return new Error(`no repository is known that matches ${JSON.stringify(text)}${meant}`);
}

/** Does nothing where a repository is known that matches. @throws Error with those that may have been meant, in a line */
export async function requireKnown(
  administration: Pick<Administration, 'listRepositories'>,
  repositories: RepositoryFilter | undefined,
): Promise<void> {
  if (!repositories) return;
  for await (const _ of repositoriesOf(administration, { repositories })) return;
  throw await unknownRepository(administration, repositories);
}
