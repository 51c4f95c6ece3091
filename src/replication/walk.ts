// Walking a registry: all repositories, all tags of one, page by page. Lists are hints: what they lack proves nothing.
import { isName, isTag } from '../oci/reference.ts';
import type { Failure } from '../registry/answer.ts';
import type { ListPath } from '../registry/list.ts';
import type { Registry } from '../registry/registry.ts';

/** A list could not be read to its end; `failure` says why. */
export class WalkFailed extends Error {
  readonly failure: Failure;

  constructor(what: string, failure: Failure) {
    super(`${what}: ${failure.kind === 'unavailable' ? failure.reason : failure.kind}`);
    this.name = 'WalkFailed';
    this.failure = failure;
  }
}

// Entries that are asked for at once; registries cap it as they like, and some refuse more than 1,000.
const PAGE = '1000';
// A list that never ends is no list.
const PAGES_MAX = 100_000;

interface Page {
  readonly entries: readonly unknown[];
  /** The query of the next page. */
  readonly next?: string;
}

function entriesOf(bytes: Buffer, key: 'repositories' | 'tags'): readonly unknown[] {
  try {
    const value = (JSON.parse(bytes.toString('utf8')) as Record<string, unknown>)[key];
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

async function* pages(
  registry: Registry,
  list: ListPath,
  key: 'repositories' | 'tags',
  from: string | undefined,
  timeout: number,
): AsyncGenerator<Page> {
  let query = new URLSearchParams(from ?? { n: PAGE });
  for (let count = 0; count < PAGES_MAX; count += 1) {
    const answer = await registry.lists.page(list, query, timeout);
    if (answer.kind !== 'found')
      throw new WalkFailed(list.kind === 'tags' ? `tags of ${list.name}` : list.kind, answer);
    const { next } = answer.value;
    yield { entries: entriesOf(answer.value.bytes, key), ...(next === undefined ? {} : { next }) };
    if (next === undefined || next === query.toString()) return;
    query = new URLSearchParams(next);
  }
}

/** A page of repository names and the cursor after it, from which a walk can be taken up again. */
export interface Repositories {
  readonly names: readonly string[];
  readonly cursor?: string;
}

/** The repositories of a registry's catalog, from a cursor on. @throws WalkFailed where there is no catalog, too */
export async function* walkRepositories(
  registry: Registry,
  { cursor, timeout = 30_000 }: { cursor?: string | undefined; timeout?: number } = {},
): AsyncGenerator<Repositories> {
  for await (const { entries, next } of pages(registry, { kind: 'catalog' }, 'repositories', cursor, timeout)) {
    const names = entries.filter((entry): entry is string => typeof entry === 'string' && isName(entry));
    yield { names, ...(next === undefined ? {} : { cursor: next }) };
  }
}

/** The tags of a repository, page by page; none where the registry does not know it. @throws WalkFailed */
export async function* walkTags(registry: Registry, name: string, timeout = 30_000): AsyncGenerator<readonly string[]> {
  try {
    for await (const { entries } of pages(registry, { kind: 'tags', name }, 'tags', undefined, timeout)) {
      yield entries.filter((entry): entry is string => typeof entry === 'string' && isTag(entry));
    }
  } catch (error) {
    if (error instanceof WalkFailed && error.failure.kind === 'missing') return;
    throw error;
  }
}

/** Reads a file of repository names, one a line; `#` begins a comment. @throws when a line is no name. */
export function parseRepositories(text: string): string[] {
  const names = text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
  const wrong = names.find((name) => !isName(name));
  if (wrong !== undefined) throw new Error(`${JSON.stringify(wrong)} is no repository name`);
  return names;
}
