// The media types of manifests.

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
  // Artifacts of types that are not known here.
  '*/*',
].join(', ');

const GENERIC = new Set(['', 'application/octet-stream', 'binary/octet-stream', 'text/plain', 'application/json']);

/** Whether a media type says nothing of what a manifest is. */
export function isGeneric(mediaType: string): boolean {
  return GENERIC.has(essence(mediaType));
}

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
