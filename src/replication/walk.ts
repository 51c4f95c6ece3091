// Reads a registry's lists page by page: all repositories, the tags of one, the referrers of a manifest. A list is a
// hint: what is not in it may exist all the same.
import { parseDescriptors } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { isName, isTag } from '../oci/reference.ts';
import { failureText, type Answer, type Failure } from '../registry/answer.ts';
import { readEntries } from '../registry/entries.ts';
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

// Entries that are asked for at once. Registries may give fewer, and some refuse more than 1,000.
const FIRST = 'n=1000';
// Pages of one list; one with more is taken to be endless.
const PAGES_MAX = 100_000;
// Characters of an entry that is remembered; longer entries are no names.
const KEY_MAX = 512;
// Bytes of all pages and cursors of one list, since callers remember what they have seen of it.
const LIST_MAX = 128 * 1024 * 1024;
const TIMEOUT = 30_000;

const KEYS = { catalog: 'repositories', tags: 'tags', referrers: 'manifests' } as const;

function nameOf(list: ListPath): string {
  return list.kind === 'catalog' ? list.kind : `${list.kind} of ${list.name}`;
}

function unavailable(list: ListPath, reason: string): WalkFailed {
  return new WalkFailed(nameOf(list), { kind: 'unavailable', reason });
}

/** The answer to a request for a page, and its query. */
interface Asked {
  readonly query: string;
  readonly answer: Answer<Page>;
}

type Ask = (query: string) => Promise<Asked>;

/** The first page; asked without a number of entries where the registry refuses that. */
async function firstPage(list: ListPath, ask: Ask): Promise<Asked> {
  if (list.kind === 'referrers') return ask('');
  const first = await ask(FIRST);
  return first.answer.kind === 'invalid' ? ask('') : first;
}

/** The page at a stored cursor; the first page where the cursor is no longer valid. */
async function pageFrom(list: ListPath, ask: Ask, from: string): Promise<Asked> {
  const left = await ask(from);
  if (left.answer.kind === 'found' || left.answer.kind === 'busy') return left;
  const first = await firstPage(list, ask);
  if (first.answer.kind !== 'found') return left;
  // The registry answers now, so an outage may have ended meanwhile: the cursor is tried once more.
  const again = left.answer.kind === 'unavailable' ? await ask(from) : left;
  return again.answer.kind === 'found' ? again : first;
}

/** Some entries of a page, and the query to go on with after them: the page's own until all its entries were given. */
interface Entries {
  readonly entries: readonly unknown[];
  readonly next: string | undefined;
}

/** What identifies an entry: a name, a tag or a digest; empty where it has none. */
function keyOf(entry: unknown): string {
  const key = typeof entry === 'string' ? entry : (entry as { digest?: unknown } | null)?.digest;
  return typeof key === 'string' && key.length <= KEY_MAX ? key : '';
}

async function* slices(list: ListPath, bytes: Buffer, own: string, next: string | undefined): AsyncGenerator<Entries> {
  let held: readonly unknown[] | undefined;
  try {
    for await (const entries of readEntries(bytes, KEYS[list.kind])) {
      if (held) yield { entries: held, next: own };
      held = entries;
    }
  } catch (error) {
    throw unavailable(list, `a page that is no list: ${(error as Error).message}`);
  }
  yield { entries: held ?? [], next };
}

/** The failure of a page after the first. Whatever the registry answers, the list is not complete. */
function brokenOff(list: ListPath, failure: Failure): WalkFailed {
  if (failure.kind === 'unavailable' || failure.kind === 'busy') return new WalkFailed(nameOf(list), failure);
  return unavailable(list, `${failure.kind} in the middle of the list`);
}

async function* pages(
  registry: Registry,
  list: ListPath,
  { from, timeout = TIMEOUT }: { from?: string | undefined; timeout?: number | undefined },
): AsyncGenerator<Entries> {
  const ask: Ask = async (query) => ({ query, answer: await registry.lists.page(list, query, timeout) });
  const asked = new Set<string>();
  const begun = new Set<string>();
  let size = 0;
  let { query, answer } = await (from === undefined ? firstPage(list, ask) : pageFrom(list, ask, from));
  for (;;) {
    if (answer.kind !== 'found') throw asked.size > 0 ? brokenOff(list, answer) : new WalkFailed(nameOf(list), answer);
    asked.add(query);
    const { bytes, next } = answer.value;
    size += bytes.length + (next?.length ?? 0);
    if (size > LIST_MAX) throw unavailable(list, 'it is larger than 128 MiB');
    const isEndless = next !== undefined && (asked.has(next) || asked.size === PAGES_MAX);
    let isFirst = true;
    for await (const slice of slices(list, bytes, query, isEndless ? query : next)) {
      const first = isFirst ? keyOf(slice.entries[0]) : '';
      isFirst = false;
      // Cursors may differ each time they are given out.
      if (begun.has(first)) throw unavailable(list, 'it gives the same page twice');
      if (first !== '') begun.add(first);
      yield slice;
    }
    if (isEndless) throw unavailable(list, 'its pages have no end');
    if (next === undefined) return;
    ({ query, answer } = await ask(next));
  }
}

/** As {@link pages}; the list of a repository that the registry does not know is empty. */
async function* knownPages(registry: Registry, list: ListPath, timeout?: number): AsyncGenerator<Entries> {
  try {
    yield* pages(registry, list, { timeout });
  } catch (error) {
    if (!(error instanceof WalkFailed && error.failure.kind === 'missing')) throw error;
  }
}

/** Some repository names, and the cursor from which the list can be read on; undefined at the end. */
export interface Repositories {
  readonly names: readonly string[];
  readonly cursor: string | undefined;
}

/** The repositories of a registry's catalog, from a cursor on. @throws WalkFailed, also where there is no catalog */
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
