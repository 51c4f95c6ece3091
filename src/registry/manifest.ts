// Manifests of one registry: asked with the full Accept, never believed without their digest.
import { pullAccess, pushAccess } from '../auth/scope.ts';
import { parseDigest, type Digest } from '../oci/digest.ts';
import { isManifestOf, manifestDigest, type Manifest } from '../oci/manifest.ts';
import { ACCEPT_ALL, essence } from '../oci/media-types.ts';
import { referenceText, type Reference } from '../oci/reference.ts';
import { answered, found, type Answer } from './answer.ts';
import type { Classify } from './classify.ts';
import type { Client, RegistryResponse } from './client.ts';

/** What HEAD tells of a manifest. */
export interface ManifestHead {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size?: number;
}

/** Manifests by (repository, reference); `timeout` in milliseconds to the headers. */
export interface Manifests {
  get(name: string, reference: Reference, timeout: number): Promise<Answer<Manifest>>;
  /** A 200 without a digest header is settled by GET and hash. */
  head(name: string, reference: Reference, timeout: number): Promise<Answer<ManifestHead>>;
  /** Stores bytes under a tag or their digest; the value is the digest that the registry answered. */
  put(name: string, reference: Reference, manifest: Manifest, timeout: number): Promise<Answer<Digest | undefined>>;
}

/** Manifests larger than this are refused (bytes). */
export const MANIFEST_MAX = 32 * 1024 * 1024;

function manifestPath(name: string, reference: Reference): string {
  return `/v2/${name}/manifests/${referenceText(reference)}`;
}

async function readUpTo(response: RegistryResponse, max: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > max) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

function bodyMediaType(bytes: Buffer): string {
  try {
    const { mediaType } = JSON.parse(bytes.toString('utf8')) as { mediaType?: unknown };
    return typeof mediaType === 'string' ? mediaType : '';
  } catch {
    return '';
  }
}

function digestHeader(response: RegistryResponse): Digest | undefined {
  return parseDigest(response.headers['docker-content-digest']);
}

/** @see Manifests */
export function createManifests(client: Client, classify: Classify): Manifests {
  const unavailable = (reason: string): Answer<never> => ({
    kind: 'unavailable',
    reason: `${client.registry}: ${reason}`,
  });

  function checked(bytes: Buffer, response: RegistryResponse, reference: Reference): Answer<Manifest> {
    const declared = String(response.headers['content-type'] ?? '');
    const mediaType = essence(declared) || bodyMediaType(bytes);
    const wanted = 'digest' in reference ? reference.digest : digestHeader(response);
    // A tag's sha512 digest, say, is a name as good as any: keep the registry's own when the bytes have it.
    const digest = wanted ?? manifestDigest(bytes, mediaType);
    if (!isManifestOf(digest, bytes, mediaType)) return unavailable('manifest whose digest is wrong');
    return found({ mediaType, digest, bytes });
  }

  async function get(name: string, reference: Reference, timeout: number): Promise<Answer<Manifest>> {
    const response = await client.send({
      method: 'GET',
      target: manifestPath(name, reference),
      access: [pullAccess(name)],
      headers: { accept: ACCEPT_ALL },
      timeout,
    });
    if (response.statusCode !== 200) return classify(response, 'manifest');
    let bytes: Buffer | undefined;
    try {
      bytes = await readUpTo(response, MANIFEST_MAX);
    } catch (error) {
      return unavailable(`manifest broke off: ${(error as Error).message}`);
    }
    return bytes ? checked(bytes, response, reference) : unavailable('manifest over 32 MiB');
  }

  async function head(name: string, reference: Reference, timeout: number): Promise<Answer<ManifestHead>> {
    const response = await client.send({
      method: 'HEAD',
      target: manifestPath(name, reference),
      access: [pullAccess(name)],
      headers: { accept: ACCEPT_ALL },
      timeout,
    });
    if (response.statusCode !== 200) return classify(response, 'manifest', 'HEAD');
    await response.body.dump();
    const digest = digestHeader(response);
    if (!digest) {
      const got = await get(name, reference, timeout);
      return got.kind === 'found' ? found({ ...got.value, size: got.value.bytes.length }) : got;
    }
    const size = Number(response.headers['content-length'] ?? NaN);
    const mediaType = essence(String(response.headers['content-type'] ?? ''));
    return found({ mediaType, digest, ...(Number.isSafeInteger(size) ? { size } : {}) });
  }

  async function put(
    name: string,
    reference: Reference,
    manifest: Manifest,
    timeout: number,
  ): Promise<Answer<Digest | undefined>> {
    const response = await client.send({
      method: 'PUT',
      target: manifestPath(name, reference),
      access: [pushAccess(name)],
      headers: { 'content-type': manifest.mediaType },
      body: manifest.bytes,
      timeout,
    });
    if (response.statusCode !== 201) return classify(response, 'upload');
    await response.body.dump();
    return found(digestHeader(response));
  }

  return {
    get: (name, reference, timeout) => answered(() => get(name, reference, timeout)),
    head: (name, reference, timeout) => answered(() => head(name, reference, timeout)),
    put: (name, reference, manifest, timeout) => answered(() => put(name, reference, manifest, timeout)),
  };
}
