// The media type of a manifest: its Content-Type, or else its content.
import { parseJson } from '../oci/json.ts';
import { essence, isGeneric, MANIFEST } from '../oci/media-types.ts';
import { headerText, type RegistryResponse } from './response.ts';

// RFC 6838 section 4.2; a longer name would be cached with each tag.
const TYPE = /^[\w.+-]{1,127}\/[\w.+-]{1,127}$/;
const TYPE_HEADER_MAX = 1_024;

/** A manifest's JSON object; undefined where the bytes are none. */
export function parseManifest(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = parseJson(bytes);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** By its `mediaType`, which schema 1 and old OCI manifests do not have, or by its fields. */
function typeWithin(bytes: Buffer): string | undefined {
  const { mediaType, schemaVersion, signatures, manifests, config, layers } = parseManifest(bytes) ?? {};
  if (typeof mediaType === 'string' && TYPE.test(mediaType)) return mediaType;
  if (schemaVersion === 1) return signatures ? MANIFEST.dockerSchema1Signed : MANIFEST.dockerSchema1;
  if (schemaVersion !== 2) return undefined;
  if (Array.isArray(manifests)) return MANIFEST.ociIndex;
  return config && Array.isArray(layers) ? MANIFEST.ociManifest : undefined;
}

/** The type of an answer's manifest; `bytes` decide where the header is generic. */
export function mediaTypeOf(response: RegistryResponse, bytes?: Buffer): string {
  const header = headerText(response, 'content-type') ?? '';
  const declared = header.length > TYPE_HEADER_MAX ? '' : essence(header);
  const isDeclared = TYPE.test(declared);
  if (isDeclared && !isGeneric(declared)) return declared;
  return (bytes && typeWithin(bytes)) ?? (isDeclared ? declared : 'application/octet-stream');
}
