// What a client's Accept header allows.
import { createLru } from '../lib/lru.ts';
import { essence, isSchema1, MANIFEST } from '../oci/media-types.ts';

/** The types of an Accept header, by whether they are wanted. */
type Wanted = ReadonlyMap<string, boolean>;

const REFUSED = /;\s*q=0(?:\.0*)?\s*(?:;|$)/i;

// Characters: clients send up to 700. A longer header is read as far as this, and not remembered.
const READ_MAX = 4 * 1024;
// Bytes of a type in a map beside its characters.
const TYPE = 64;

// There are few kinds of clients, each with one header.
const remembered = createLru<string, Wanted>('accepts', {
  maxEntryBytes: 64 * 1024,
  sizeOf: (wanted) => wanted.size * TYPE + READ_MAX,
});

/** With a quality of 0 a type is not wanted (RFC 9110 section 12.4.2). */
function parsed(accept: string): Wanted {
  const entries = accept.split(',').map((entry) => [essence(entry), !REFUSED.test(entry)] as const);
  return new Map(entries.filter(([type]) => type !== ''));
}

function wantedOf(accept: string): Wanted {
  if (accept.length > READ_MAX) return parsed(accept.slice(0, accept.lastIndexOf(',', READ_MAX) + 1));
  const known = remembered.get(accept);
  if (known) return known;
  const wanted = parsed(accept);
  remembered.set(accept, wanted);
  return wanted;
}

/**
 * Whether a client that sent this Accept takes this type. No header, or a wildcard, takes all that it does not refuse;
 * the two schema 1 types stand for each other, as registries answer either with the signed form.
 */
export function accepts(accept: string | undefined, mediaType: string): boolean {
  if (accept === undefined || accept.trim() === '') return true;
  const wanted = wantedOf(accept);
  const types = isSchema1(mediaType) ? [MANIFEST.dockerSchema1Signed, MANIFEST.dockerSchema1] : [essence(mediaType)];
  const named = types.map((type) => wanted.get(type)).filter((value) => value !== undefined);
  if (named.length > 0) return named.includes(true);
  return wanted.get('application/*') ?? wanted.get('*/*') ?? false;
}
