// Lists of one registry: tags, referrers and the catalog, passed on page by page.
import { catalogAccess, pullAccess } from '../auth/scope.ts';
import type { Digest } from '../oci/digest.ts';
import { answered, found, type Answer } from './answer.ts';
import { type Classify } from './classify.ts';
import type { Client } from './client.ts';
import { headerText, type RegistryResponse } from './response.ts';

/** Which list is asked for. */
export type ListPath =
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'catalog' };

/** One page as the registry gave it. */
export interface Page {
  readonly mediaType: string;
  readonly bytes: Buffer;
  /** Query of the next page (`n=…&last=…`), where the registry's Link leads to the same list of the same host. */
  readonly next?: string;
  /** `OCI-Filters-Applied` (distribution-spec #listing-referrers). */
  readonly filtersApplied?: string;
}

/** Lists, one page a call; `query` as in the request; `signal` as in a {@link RegistryRequest}. */
export interface Lists {
  page(list: ListPath, query: URLSearchParams, timeout: number, signal?: AbortSignal): Promise<Answer<Page>>;
}

const PAGE_MAX = 32 * 1024 * 1024;

/** The path of a list (distribution-spec #endpoints). */
export function listPath(list: ListPath): string {
  switch (list.kind) {
    case 'catalog':
      return '/v2/_catalog';
    case 'tags':
      return `/v2/${list.name}/tags/list`;
    case 'referrers':
      return `/v2/${list.name}/referrers/${list.digest}`;
  }
}

function nextOf(response: RegistryResponse, asked: URL): string | undefined {
  const link = [response.headers['link'] ?? []].flat().join(', ');
  const target = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(link)?.[1];
  if (target === undefined || !URL.canParse(target, asked)) return undefined;
  const url = new URL(target, asked);
  // A registry behind a proxy may name itself with another scheme; another host or path is not this list.
  const same = url.hostname === asked.hostname && url.pathname.replaceAll('%2F', '/') === asked.pathname;
  // A page that is its own next one has no end.
  return same && url.search !== '' && url.search !== asked.search ? url.search.slice(1) : undefined;
}

/** A portal's or a maintenance page's 200 is no list. */
function isObject(bytes: Buffer): boolean {
  return /^\s*\{/.test(bytes.subarray(0, 64).toString('latin1'));
}

function mediaTypeOf(response: RegistryResponse): string {
  const given = headerText(response, 'content-type') ?? '';
  return /^[\w.+-]+\/[\w.+-]+(?:; *charset=[\w-]+)?$/.test(given) ? given : 'application/json';
}

/** @see Lists */
export function createLists(client: Client, classify: Classify): Lists {
  async function page(
    list: ListPath,
    query: URLSearchParams,
    timeout: number,
    signal?: AbortSignal,
  ): Promise<Answer<Page>> {
    const search = query.toString();
    const target = listPath(list) + (search === '' ? '' : `?${search}`);
    const access = list.kind === 'catalog' ? [catalogAccess()] : [pullAccess(list.name)];
    const response = await client.send({ method: 'GET', target, access, timeout, isSlow: true, signal });
    if (response.statusCode !== 200) return classify(response, 'list');
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > PAGE_MAX) return { kind: 'unavailable', reason: `${client.registry}: list over 32 MiB` };
        chunks.push(chunk);
      }
    } catch (error) {
      return { kind: 'unavailable', reason: `${client.registry}: list broke off: ${(error as Error).message}` };
    }
    const bytes = Buffer.concat(chunks, size);
    if (!isObject(bytes)) return { kind: 'unavailable', reason: `${client.registry}: a list that is no JSON` };
    const next = nextOf(response, new URL(target, client.origin));
    const filters = headerText(response, 'oci-filters-applied');
    return found({
      mediaType: mediaTypeOf(response),
      bytes,
      ...(next === undefined ? {} : { next }),
      ...(filters !== undefined && /^[\w, .-]{1,128}$/.test(filters) ? { filtersApplied: filters } : {}),
    });
  }

  return { page: (list, query, timeout, signal) => answered(() => page(list, query, timeout, signal)) };
}
