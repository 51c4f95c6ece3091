// Lists of one registry: tags, referrers and the catalog, passed on page by page.
import { catalogAccess, pullAccess } from '../auth/scope.ts';
import type { Digest } from '../oci/digest.ts';
import { answered, found, type Answer } from './answer.ts';
import { type Classify } from './classify.ts';
import type { Client } from './client.ts';
import { nextPage } from './link.ts';
import { sendOnward } from './redirect.ts';
import { headerText, readBody, type RegistryResponse } from './response.ts';

/** Which list is asked for. */
export type ListPath =
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'catalog' };

/** One page as the registry gave it. */
export interface Page {
  readonly mediaType: string;
  readonly bytes: Buffer;
  /** Query of the next page, as the registry's Link has it; undefined on the last page. */
  readonly next?: string;
  /** `OCI-Filters-Applied` (distribution-spec #listing-referrers). */
  readonly filtersApplied?: string;
}

/**
 * Lists, one page a call; `query` as it goes into the request, `signal` as in a {@link RegistryRequest}. A page of which
 * the next one cannot be asked for is `unavailable`: a list that ends early would look like the whole of it.
 */
export interface Lists {
  page(list: ListPath, query: string, timeout: number, signal?: AbortSignal): Promise<Answer<Page>>;
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
  const unavailable = (reason: string): Answer<never> => ({
    kind: 'unavailable',
    reason: `${client.registry}: ${reason}`,
  });

  async function page(list: ListPath, query: string, timeout: number, signal?: AbortSignal): Promise<Answer<Page>> {
    const target = listPath(list) + (query === '' ? '' : `?${query}`);
    const access = list.kind === 'catalog' ? [catalogAccess()] : [pullAccess(list.name)];
    const response = await sendOnward(client, { method: 'GET', target, access, timeout, signal });
    if (response.statusCode !== 200) return classify(response, 'list');
    const { bytes, failure } = await readBody(response, timeout, PAGE_MAX);
    if (failure) return unavailable(`list broke off: ${failure.message}`);
    if (!isObject(bytes)) return unavailable('a list that is no JSON');
    const next = nextPage(response.headers['link']);
    if (next.kind === 'unclear') return unavailable('a Link to a next page that cannot be asked for');
    if (next.kind === 'page' && next.query === query) return unavailable('a page that is its own next one');
    const filters = headerText(response, 'oci-filters-applied');
    return found({
      mediaType: mediaTypeOf(response),
      bytes,
      ...(next.kind === 'page' ? { next: next.query } : {}),
      ...(filters !== undefined && /^[\w, .-]{1,128}$/.test(filters) ? { filtersApplied: filters } : {}),
    });
  }

  return { page: (list, query, timeout, signal) => answered(() => page(list, query, timeout, signal)) };
}
