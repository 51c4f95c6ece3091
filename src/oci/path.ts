// The door: a request's URL becomes one validated path, or an OCI error. No raw string is used after it.
import { isDigest, type Digest } from './digest.ts';
import { OciError } from './error.ts';
import { isName, parseReference, type Reference } from './reference.ts';

/** A path of the pull API (distribution-spec #endpoints, and Distribution's `_catalog`). */
export type DistributionPath =
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'manifest'; readonly name: string; readonly reference: Reference }
  | { readonly kind: 'blob'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: Digest };

const ROUTE = /^(.+)\/(manifests|blobs|referrers)\/([^/]+)$/;
const TAGS = /^(?<name>.+)\/tags\/list\/?$/;
const UPLOAD = /^.+\/blobs\/uploads(?:\/[^/]*)?$/;

function decode(raw: string): string {
  if (!raw.includes('%')) return raw;
  try {
    return decodeURIComponent(raw);
  } catch (cause) {
    throw new OciError('NAME_INVALID', 'the path is not valid percent-encoding', { cause });
  }
}

// A part of a text that was cut out of a larger one holds all of that in memory, and names and digests are remembered: they
// must not bring a long query along (characters).
const QUERY_MAX = 1_024;

/** The path of a URL, without its query. */
function pathOf(url: string): string {
  const query = url.indexOf('?');
  if (query < 0) return url;
  const path = url.slice(0, query);
  return url.length - query > QUERY_MAX ? Buffer.from(path).toString() : path;
}

function checkedName(name: string): string {
  if (isName(name)) return name;
  throw new OciError('NAME_INVALID', 'invalid repository name');
}

function checkedDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new OciError('DIGEST_INVALID', 'invalid digest: sha256 or sha512 with lower-case hex is needed');
}

/** What can be neither names no manifest, as Distribution and the specification's own tests have it. */
function checkedReference(text: string): Reference {
  const reference = parseReference(text);
  if (reference) return reference;
  throw new OciError('MANIFEST_UNKNOWN', 'what was asked for is neither a tag nor a digest of sha256 or sha512');
}

/**
 * Parses the path of a request below `/v2` (query cut off or not). Percent-encoding is undone once, so that `%2F`
 * is a `/` for everyone after; dot segments, empty segments and control characters fail the name's grammar.
 * @throws {OciError} 400 for a bad name or blob digest, 404 for a bad reference and for a path that the API does not have.
 */
export function parsePath(url: string): DistributionPath {
  const path = decode(pathOf(url));
  if (path === '/v2' || path === '/v2/') return { kind: 'base' };
  if (!path.startsWith('/v2/')) throw new OciError('UNSUPPORTED', 'no such endpoint', { status: 404 });
  const rest = path.slice('/v2/'.length);
  if (rest === '_catalog') return { kind: 'catalog' };
  const tags = TAGS.exec(rest)?.groups;
  if (tags) return { kind: 'tags', name: checkedName(tags['name']!) };
  const [, named = '', noun, last = ''] = ROUTE.exec(rest) ?? [];
  if (noun !== 'manifests' && UPLOAD.test(rest))
    throw new OciError('BLOB_UPLOAD_UNKNOWN', 'this registry takes no uploads');
  if (noun === undefined) throw new OciError('UNSUPPORTED', 'no such endpoint', { status: 404 });
  const name = checkedName(named);
  if (noun === 'manifests') return { kind: 'manifest', name, reference: checkedReference(last) };
  const digest = checkedDigest(last);
  return noun === 'blobs' ? { kind: 'blob', name, digest } : { kind: 'referrers', name, digest };
}

/** The repository that a path belongs to; `/v2/` and the catalog belong to none. */
export function repositoryOf(path: DistributionPath): string | undefined {
  return 'name' in path ? path.name : undefined;
}
