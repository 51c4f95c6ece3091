// Parses the Link header (RFC 8288) for what lists need: the query of the next page.

/**
 * What follows a page. `unclear`: there may be a next page, but the header does not show how to request it, so the page
 * must not be taken for the last one.
 */
export type Next =
  { readonly kind: 'end' } | { readonly kind: 'page'; readonly query: string } | { readonly kind: 'unclear' };

// Characters of all Link headers of an answer together.
const HEADER_MAX = 16 * 1024;
/** Limit (characters) of a next page's query, which becomes part of clients' URLs. */
export const QUERY_MAX = 4_096;

// Sticky patterns are tried at one position only, so that parsing takes linear time.
const SEPARATOR = /[\s,]*/y;
const TARGET = /<([^>]*)>/y;
const PARAMETER = /\s*;\s*([^\s=;,"]*)(?:\s*=\s*(?:"((?:[^"\\]|\\[^])*)"|([^\s;,"]*)))?/y;
const END = /\s*(?:,|$)/y;

interface Link {
  readonly target: string;
  /** The relation types in lower case; undefined where the link names none. */
  readonly rel: readonly string[] | undefined;
}

/** The links of a header, and the rest from where it cannot be parsed. */
function parseLinks(text: string): { readonly links: readonly Link[]; readonly rest: string } {
  const links: Link[] = [];
  let position = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position;
    const match = pattern.exec(text);
    if (match) position += match[0].length;
    return match;
  };
  for (take(SEPARATOR); position < text.length; take(SEPARATOR)) {
    const begin = position;
    const target = take(TARGET)?.[1];
    let rel: string | undefined;
    for (let one = target !== undefined && take(PARAMETER); one; one = take(PARAMETER)) {
      const [, name, quoted, plain] = one;
      // The first counts (RFC 8288 section 3.3).
      if (name!.toLowerCase() === 'rel') rel ??= plain ?? quoted?.replace(/\\([^])/g, '$1') ?? '';
    }
    if (target === undefined || !take(END)) return { links, rest: text.slice(begin) };
    links.push({ target, rel: rel?.toLowerCase().split(/\s+/) });
  }
  return { links, rest: '' };
}

/** A query (one character a byte) for a request line or a Link: bytes that are not allowed there are percent-encoded. */
export function wireQuery(text: string): string {
  return text.replace(/[^\x21-\x7e]|["<>]/g, (byte) => `%${Buffer.from(byte, 'latin1').toString('hex').toUpperCase()}`);
}

function pageOf({ target }: Link): Next {
  const withoutFragment = target.replace(/#[^]*/, '');
  const start = withoutFragment.indexOf('?');
  const query = start < 0 ? '' : wireQuery(withoutFragment.slice(start + 1));
  return query === '' || query.length > QUERY_MAX ? { kind: 'unclear' } : { kind: 'page', query };
}

/**
 * The query of the next page. The rest of the target is ignored: registries give public hosts, path prefixes or other
 * schemes there, and we ask the configured one.
 */
export function nextPage(header: string | readonly string[] | undefined): Next {
  const headers = [header ?? []].flat();
  if (headers.reduce((sum, { length }) => sum + length, 0) > HEADER_MAX) return { kind: 'unclear' };
  const parsed = headers.map(parseLinks);
  const links = parsed.flatMap((one) => one.links);
  const next = links.find(({ rel }) => rel?.includes('next') || rel?.includes("'next'"));
  if (next) return pageOf(next);
  if (parsed.some(({ rest }) => /next/i.test(rest))) return { kind: 'unclear' };
  // Clients follow a single link without a relation.
  const lone = links.length === 1 && links[0]!.rel === undefined ? pageOf(links[0]!) : undefined;
  return lone?.kind === 'page' ? lone : { kind: 'end' };
}
