// The media types of manifests, and what a client's Accept header allows.

/** Manifest media types by what they are (OCI image-spec media-types.md; Docker's image manifest v2 schemas 1 and 2). */
export const MANIFEST = {
  dockerSchema1: 'application/vnd.docker.distribution.manifest.v1+json',
  dockerSchema1Signed: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
  dockerSchema2: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociArtifact: 'application/vnd.oci.artifact.manifest.v1+json',
} as const;

const KNOWN = new Set<string>(Object.values(MANIFEST));

/**
 * The Accept header that every registry is asked with: a registry's 404 may mean *wrong Accept*, and Distribution
 * rewrites a schema 2 manifest to schema 1 for those that do not accept it.
 */
export const ACCEPT_ALL = [
  MANIFEST.ociIndex,
  MANIFEST.dockerList,
  MANIFEST.ociManifest,
  MANIFEST.dockerSchema2,
  MANIFEST.ociArtifact,
  MANIFEST.dockerSchema1Signed,
  MANIFEST.dockerSchema1,
].join(', ');

/** A Content-Type without its parameters, in lower case. */
export function essence(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** Whether a media type is a manifest's or an index's: in an index, everything else is a blob (BuildKit cache). */
export function isManifestType(mediaType: string): boolean {
  return KNOWN.has(essence(mediaType));
}

/** Whether it is one of Docker's schema 1 types. */
export function isSchema1(mediaType: string): boolean {
  const type = essence(mediaType);
  return type === MANIFEST.dockerSchema1 || type === MANIFEST.dockerSchema1Signed;
}

/** Whether it lists other manifests. */
export function isIndex(mediaType: string): boolean {
  const type = essence(mediaType);
  return type === MANIFEST.ociIndex || type === MANIFEST.dockerList;
}

const REFUSED = /;\s*q=0(?:\.0*)?\s*(?:;|$)/i;

// Clients are few kinds, each with one header: a handful is remembered, and a flood of others is forgotten at once.
const REMEMBERED_MAX = 256;
const remembered = new Map<string, ReadonlyMap<string, boolean>>();

/** The types of an Accept header by whether they are wanted: with a quality of 0 they are not (RFC 9110 section 12.4.2). */
function parsed(accept: string): ReadonlyMap<string, boolean> {
  const entries = accept.split(',').map((entry) => [essence(entry), !REFUSED.test(entry)] as const);
  return new Map(entries.filter(([type]) => type !== ''));
}

function ranges(accept: string): ReadonlyMap<string, boolean> {
  const known = remembered.get(accept);
  if (known) return known;
  if (remembered.size >= REMEMBERED_MAX) remembered.clear();
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
  const wanted = ranges(accept);
  const types = isSchema1(mediaType) ? [MANIFEST.dockerSchema1Signed, MANIFEST.dockerSchema1] : [essence(mediaType)];
  const named = types.map((type) => wanted.get(type)).filter((value) => value !== undefined);
  if (named.length > 0) return named.includes(true);
  return wanted.get('application/*') ?? wanted.get('*/*') ?? false;
}
