// Manifests: bytes that are never changed, what they point at, and their digest.
import { parseDescriptor, parseDescriptors, type Descriptor } from './descriptor.ts';
import { algorithmOf, digestOf, parseDigest, type Digest, type DigestAlgorithm } from './digest.ts';
import { parseJson, TooComplex } from './json.ts';
import { essence, isManifestType, isSchema1, MANIFEST } from './media-types.ts';

/** A manifest as a registry gave it: the bytes, and the type it gave them. */
export interface Manifest {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly bytes: Buffer;
}

/** What a manifest points at; foreign layers are among the blobs. */
export interface Links {
  readonly blobs: readonly Descriptor[];
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  /** Its JSON is nested too deep, or has too many values, to be read; the links are not known. */
  readonly isTooComplex?: true;
}

const NOTHING: Links = { blobs: [], manifests: [] };
const TOO_COMPLEX: Links = { ...NOTHING, isTooComplex: true };

/** The fields of a JSON object; undefined where the bytes are none. @throws {TooComplex} */
function fieldsOf(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const value = parseJson(bytes);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof TooComplex) throw error;
    return undefined;
  }
}

function fieldsOrNothing(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    return fieldsOf(bytes);
  } catch {
    return undefined;
  }
}

function schema1Blobs(body: Record<string, unknown>): Descriptor[] {
  const layers: unknown = body['fsLayers'];
  if (!Array.isArray(layers)) return [];
  const digests = layers.map((layer: { blobSum?: unknown } | null) => parseDigest(layer?.blobSum));
  // An empty layer stands many times in one schema 1 manifest.
  return [...new Set(digests)].filter((digest) => digest !== undefined).map((digest) => ({ mediaType: '', digest }));
}

/**
 * What a manifest's bytes point at. Bytes that are no manifest point at nothing: they are still served as they are.
 * In an index, entries that are no manifests are blobs (BuildKit cache).
 */
export function linksOf(manifest: Pick<Manifest, 'mediaType' | 'bytes'>): Links {
  let body: Record<string, unknown> | undefined;
  try {
    body = fieldsOf(manifest.bytes);
  } catch {
    return TOO_COMPLEX;
  }
  if (!body) return NOTHING;
  // Schema 1 is told by its fsLayers only where the type says nothing (`application/json`).
  if (isSchema1(manifest.mediaType) || (!isManifestType(manifest.mediaType) && Array.isArray(body['fsLayers']))) {
    return { ...NOTHING, blobs: schema1Blobs(body) };
  }
  const entries = parseDescriptors(body['manifests']);
  const config = parseDescriptor(body['config']);
  const subject = parseDescriptor(body['subject']);
  return {
    blobs: [
      ...(config ? [config] : []),
      ...parseDescriptors(body['layers']),
      ...parseDescriptors(body['blobs']),
      ...entries.filter((entry) => !isManifestType(entry.mediaType)),
    ],
    manifests: entries.filter((entry) => isManifestType(entry.mediaType)),
    ...(subject ? { subject } : {}),
  };
}

/** The linux/amd64 child that Distribution gives to clients which do not know Docker's manifest lists. */
export function defaultPlatformChild(manifest: Manifest): Digest | undefined {
  if (essence(manifest.mediaType) !== MANIFEST.dockerList) return undefined;
  return linksOf(manifest).manifests.find(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === 'amd64',
  )?.digest;
}

function decodeProtected(body: Record<string, unknown>): { formatLength: number; formatTail: string } | undefined {
  const signatures = body['signatures'];
  if (!Array.isArray(signatures)) return undefined;
  const encoded: unknown = (signatures[0] as { protected?: unknown } | undefined)?.protected;
  if (typeof encoded !== 'string') return undefined;
  const header = fieldsOrNothing(Buffer.from(encoded, 'base64url'));
  const { formatLength, formatTail } = header ?? {};
  return Number.isSafeInteger(formatLength) && typeof formatTail === 'string'
    ? { formatLength: formatLength as number, formatTail }
    : undefined;
}

/** The bytes that a manifest's digest covers: all, but of a signed schema 1 manifest the signed payload only. */
function payloadOf(bytes: Buffer, mediaType: string): Buffer {
  if (!isSchema1(mediaType)) return bytes;
  const body = fieldsOrNothing(bytes);
  const header = body && decodeProtected(body);
  if (!header || header.formatLength < 0 || header.formatLength > bytes.length) return bytes;
  return Buffer.concat([bytes.subarray(0, header.formatLength), Buffer.from(header.formatTail, 'base64url')]);
}

/** The digest of a manifest's bytes (image manifest v2 schema 1: of its payload without the signatures). */
export function manifestDigest(bytes: Buffer, mediaType: string, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return digestOf(payloadOf(bytes, mediaType), algorithm);
}

/** Whether bytes are what `digest` names. */
export function isManifestOf(digest: Digest, bytes: Buffer, mediaType: string): boolean {
  return manifestDigest(bytes, mediaType, algorithmOf(digest)) === digest;
}
