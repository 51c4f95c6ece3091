// The Link header (RFC 8288), read as far as lists need it: the query of the next page.

/**
 * How a list goes on after a page. `unclear`: there may be a next page, but the header does not say how to ask for it,
 * so that the page must not be taken for the last one.
 */
export type Next =
  { readonly kind: 'end' } | { readonly kind: 'page'; readonly query: string } | { readonly kind: 'unclear' };

// Characters of all Link headers of an answer.
const HEADER_MAX = 16 * 1024;
/** Characters of the query of a next page: URLs of clients have to carry it back. */
export const QUERY_MAX = 4_096;

// Each pattern is tried once at one position and never again further on: reading is linear.
const SEPARATOR = /[\s,]*/y;
const TARGET = /<([^>]*)>/y;
const PARAMETER = /\s*;\s*([^\s=;,"]*)(?:\s*=\s*(?:"((?:[^"\\]|\\[^])*)"|([^\s;,"]*)))?/y;
const END = /\s*(?:,|$)/y;

interface Link {
  readonly target: string;
  /** The relation types in lower case; undefined where the link names none. */
  readonly rel: readonly string[] | undefined;
}

/** The links of a header; the rest of it from where it cannot be read, if so. */
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

/**
 * A query, a character for each byte, as it may stand in a request line and in a Link: bytes that may not are
 * percent-encoded, all others stay as they are.
 */
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
 * The query of the next page. Of its target only the query counts: registries name themselves by public hosts, behind
 * prefixes of their paths, or by other schemes, and we ask the one that we know.
 */
export function nextPage(header: string | readonly string[] | undefined): Next {
  const headers = [header ?? []].flat();
  if (headers.reduce((sum, { length }) => sum + length, 0) > HEADER_MAX) return { kind: 'unclear' };
  const parsed = headers.map(parseLinks);
  const links = parsed.flatMap((one) => one.links);
  const next = links.find(({ rel }) => rel?.includes('next') || rel?.includes("'next'"));
  if (next) return pageOf(next);
  if (parsed.some(({ rest }) => /next/i.test(rest))) return { kind: 'unclear' };
  // Clients follow a lone link that names no relation.
  const lone = links.length === 1 && links[0]!.rel === undefined ? pageOf(links[0]!) : undefined;
  return lone?.kind === 'page' ? lone : { kind: 'end' };
}
