// Walking a registry: all repositories, all tags of one, what refers to a manifest, page by page. Lists are hints: what
// they lack proves nothing.
import { parseDescriptors } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { isName, isTag } from '../oci/reference.ts';
import { failureText, type Answer, type Failure } from '../registry/answer.ts';
import type { ListPath, Page } from '../registry/list.ts';
import type { Registry } from '../registry/registry.ts';

/** A list could not be read to its end; `failure` says why. */
export class WalkFailed extends Error {
  readonly failure: Failure;

  constructor(what: string, failure: Failure) {
    super(`${what}: ${failureText(failure)}`);
    this.name = 'WalkFailed';
    this.failure = failure;
  }
}

// Entries that are asked for at once; registries cap it as they like, and some refuse more than 1,000.
const PAGE = '1000';
// A list that never ends is no list.
const PAGES_MAX = 100_000;
const TIMEOUT = 30_000;

const KEYS = { catalog: 'repositories', tags: 'tags', referrers: 'manifests' } as const;

function nameOf(list: ListPath): string {
  return list.kind === 'catalog' ? list.kind : `${list.kind} of ${list.name}`;
}

function unavailable(list: ListPath, reason: string): WalkFailed {
  return new WalkFailed(nameOf(list), { kind: 'unavailable', reason });
}

/** The entries of a page. Registries write null for none, or leave the key out. */
function entriesOf(list: ListPath, { bytes }: Page): readonly unknown[] {
  try {
    const value = (JSON.parse(bytes.toString('utf8')) as Record<string, unknown>)[KEYS[list.kind]] ?? [];
    if (Array.isArray(value)) return value;
  } catch {
    // Said below.
  }
  throw unavailable(list, 'a page that is no list');
}

/** The first page, where it was left (`from`) or at the beginning; without a number where the registry takes none. */
async function firstPage(
  registry: Registry,
  list: ListPath,
  from: string | undefined,
  timeout: number,
): Promise<Answer<Page>> {
  const asked = list.kind === 'referrers' ? {} : { n: PAGE };
  const answer = await registry.lists.page(list, new URLSearchParams(from ?? asked), timeout);
  return answer.kind === 'invalid' ? registry.lists.page(list, new URLSearchParams(), timeout) : answer;
}

/** Entries of a page, and the query of the next one. */
interface Entries {
  readonly entries: readonly unknown[];
  readonly next: string | undefined;
}

async function* pages(
  registry: Registry,
  list: ListPath,
  { from, timeout = TIMEOUT }: { from?: string | undefined; timeout?: number | undefined },
): AsyncGenerator<Entries> {
  const asked = new Set<string>();
  let answer = await firstPage(registry, list, from, timeout);
  for (;;) {
    if (answer.kind !== 'found') throw new WalkFailed(nameOf(list), answer);
    const { next } = answer.value;
    yield { entries: entriesOf(list, answer.value), next };
    if (next === undefined) return;
    if (asked.has(next) || asked.size === PAGES_MAX) throw unavailable(list, 'its pages have no end');
    asked.add(next);
    answer = await registry.lists.page(list, new URLSearchParams(next), timeout);
  }
}

/** As {@link pages}; a list of what the registry does not know is empty. */
async function* knownPages(registry: Registry, list: ListPath, timeout?: number): AsyncGenerator<Entries> {
  try {
    yield* pages(registry, list, { timeout });
  } catch (error) {
    if (!(error instanceof WalkFailed && error.failure.kind === 'missing')) throw error;
  }
}

/** A page of repository names and the cursor after it, from which a walk can be taken up again. */
export interface Repositories {
  readonly names: readonly string[];
  readonly cursor: string | undefined;
}

/** The repositories of a registry's catalog, from a cursor on. @throws WalkFailed where there is no catalog, too */
export async function* walkRepositories(
  registry: Registry,
  { cursor, timeout }: { cursor?: string | undefined; timeout?: number } = {},
): AsyncGenerator<Repositories> {
  for await (const { entries, next } of pages(registry, { kind: 'catalog' }, { from: cursor, timeout })) {
    yield { names: entries.filter((entry) => typeof entry === 'string').filter(isName), cursor: next };
  }
}

/** The tags of a repository, page by page; none where the registry does not know it. @throws WalkFailed */
export async function* walkTags(registry: Registry, name: string, timeout?: number): AsyncGenerator<readonly string[]> {
  for await (const { entries } of knownPages(registry, { kind: 'tags', name }, timeout)) {
    yield entries.filter((entry) => typeof entry === 'string').filter(isTag);
  }
}

/** The manifests whose subject is `digest` (distribution-spec #listing-referrers). @throws WalkFailed */
export async function* walkReferrers(
  registry: Registry,
  name: string,
  digest: Digest,
  timeout?: number,
): AsyncGenerator<readonly Digest[]> {
  for await (const { entries } of knownPages(registry, { kind: 'referrers', name, digest }, timeout)) {
    yield parseDescriptors(entries).map((referrer) => referrer.digest);
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
