// Queries of lists: what of a client's query reaches a registry, and the cursors that clients get.
import { OciError } from '../oci/error.ts';
import { QUERY_MAX, wireQuery } from '../registry/link.ts';

/** What a client asks of a list. */
export interface ListQuery {
  /** As it goes to the registry. */
  readonly query: string;
  /** Whether every registry understands it; else only the primary, whose cursor it carries. */
  readonly isPlain: boolean;
}

// The parameters that a list has (distribution-spec #listing-tags, #listing-referrers); others are dropped.
const PLAIN = ['n', 'last', 'artifactType'] as const;
// Quay pages by a `next_page` of its own.
const PARAMETERS = [...PLAIN, 'next_page'] as const;
const PARAMETER_MAX = 1_024;
const N = /^\d{1,9}$/;

/** Our parameter that carries the primary's own cursor, in base64url: clients send back what they got. */
const CURSOR = 'geo';

function pairsOf(query: string): readonly (readonly [name: string, value: string])[] {
  return query.split('&').map((pair) => {
    const [name = '', ...value] = pair.split('=');
    return [name, value.join('=')];
  });
}

/** The query inside a cursor: it goes behind the `?` of a list's path and nowhere else. @throws {OciError} 400 */
function decoded(cursor: string): string {
  const query = /^[\w-]+$/.test(cursor) ? Buffer.from(cursor, 'base64url').toString('latin1') : '';
  if (query === '' || query.length > QUERY_MAX || query.includes('#') || wireQuery(query) !== query) {
    throw new OciError('UNSUPPORTED', 'no such page', { status: 400 });
  }
  return query;
}

/** Reads the query of a list's URL; values stay as they are written. @throws {OciError} 400 */
export function parseListQuery(url: string): ListQuery {
  const start = url.indexOf('?');
  const asked = new Map(pairsOf(start < 0 ? '' : url.slice(start + 1).replace(/#[^]*/, '')).toReversed());
  const cursor = asked.get(CURSOR);
  if (cursor !== undefined) return { query: decoded(cursor), isPlain: false };
  const given = PARAMETERS.filter((name) => asked.has(name));
  for (const name of given) {
    const value = asked.get(name)!;
    if (name === 'n' && !N.test(value)) {
      throw new OciError('PAGINATION_NUMBER_INVALID', 'n must be a whole number');
    }
    if (value.length > PARAMETER_MAX) throw new OciError('UNSUPPORTED', `${name} is too long`, { status: 400 });
  }
  const query = wireQuery(given.map((name) => `${name}=${asked.get(name)}`).join('&'));
  return { query, isPlain: !given.includes('next_page') };
}

/** Whether a query means the same to every registry, and reaches it as it is when a client brings it back. */
export function isPlainQuery(query: string): boolean {
  const pairs = pairsOf(query);
  const isKnown = pairs.every(([name]) => PLAIN.some((one) => one === name));
  if (!isKnown || new Set(pairs.map(([name]) => name)).size < pairs.length) return false;
  return pairs.every(([name, value]) => value.length <= PARAMETER_MAX && (name !== 'n' || N.test(value)));
}

/** The query by which a client asks for the page that the primary has under `next`. */
export function clientQuery(next: string): string {
  return isPlainQuery(next) ? next : `${CURSOR}=${Buffer.from(next, 'latin1').toString('base64url')}`;
}
