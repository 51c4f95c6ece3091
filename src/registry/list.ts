// Lists of one registry: tags, referrers and the catalog, page by page.
import { catalogAccess, pullAccess } from '../auth/scope.ts';
import type { Digest } from '../oci/digest.ts';
import { answered, found, type Answer } from './answer.ts';
import { nextPage } from './link.ts';
import { Noun } from './noun.ts';
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
  /** Query of the next page, from the registry's Link; undefined on the last page. */
  readonly next?: string;
  /** `OCI-Filters-Applied` (distribution-spec #listing-referrers). */
  readonly filtersApplied?: string;
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

/** Whether a body is a JSON object, and not a page of a portal. */
function isObject(bytes: Buffer): boolean {
  return /^\s*\{/.test(bytes.subarray(0, 64).toString('latin1'));
}

function mediaTypeOf(response: RegistryResponse): string {
  const given = headerText(response, 'content-type') ?? '';
  return /^[\w.+-]+\/[\w.+-]+(?:; *charset=[\w-]+)?$/.test(given) ? given : 'application/json';
}

/** Lists of one registry. */
export class Lists extends Noun {
  /**
   * One page; `query` as it goes into the request, `signal` as in a {@link RegistryRequest}. A page whose next page cannot
   * be requested is `unavailable`: the list would look complete.
   */
  page(list: ListPath, query: string, timeout: number, signal?: AbortSignal): Promise<Answer<Page>> {
    return answered(async () => {
      const target = listPath(list) + (query === '' ? '' : `?${query}`);
      const access = list.kind === 'catalog' ? [catalogAccess()] : [pullAccess(list.name)];
      const response = await sendOnward(this.client, { method: 'GET', target, access, timeout, signal });
      if (response.statusCode !== 200) return this.classify(response, 'list');
      const { bytes, failure } = await readBody(response, timeout, PAGE_MAX);
      if (failure) return this.unusable(`list broke off: ${failure.message}`);
      return this.#pageOf(response, bytes, query);
    });
  }

  #pageOf(response: RegistryResponse, bytes: Buffer, query: string): Answer<Page> {
    if (!isObject(bytes)) return this.unusable('a list that is no JSON');
    const next = nextPage(response.headers['link']);
    if (next.kind === 'unclear') return this.unusable('a Link to a next page that cannot be asked for');
    if (next.kind === 'page' && next.query === query) return this.unusable('a page that is its own next one');
    const filters = headerText(response, 'oci-filters-applied');
    return found({
      mediaType: mediaTypeOf(response),
      bytes,
      ...(next.kind === 'page' ? { next: next.query } : {}),
      ...(filters !== undefined && /^[\w, .-]{1,128}$/.test(filters) ? { filtersApplied: filters } : {}),
    });
  }
}
