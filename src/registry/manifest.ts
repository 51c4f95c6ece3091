// Manifests of one registry: asked with the full Accept, never believed without their digest.
import { deleteAccess, pullAccess, pushAccess } from '../auth/scope.ts';
import { parseDigest, type Digest } from '../oci/digest.ts';
import { parseJson } from '../oci/json.ts';
import { isManifestOf, manifestDigest, type Manifest } from '../oci/manifest.ts';
import { ACCEPT_ALL, essence, isGeneric, MANIFEST } from '../oci/media-types.ts';
import { referenceText, type Reference } from '../oci/reference.ts';
import { answered, found, type Answer } from './answer.ts';
import type { Classify } from './classify.ts';
import type { Client } from './client.ts';
import { createLapse } from './lapse.ts';
import { sendOnward } from './redirect.ts';
import { contentLength, discard, headerText, readBody, type RegistryResponse } from './response.ts';

/** What HEAD tells of a manifest. */
export interface ManifestHead {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size?: number;
}

/** Manifests by (repository, reference); `timeout` in milliseconds to the headers; `signal` as in a {@link RegistryRequest}. */
export interface Manifests {
  get(name: string, reference: Reference, timeout: number, signal?: AbortSignal): Promise<Answer<Manifest>>;
  /**
   * A 200 without a digest header is settled by GET and hash, a 404 by GET and what its body says. Where `known` is given
   * the registry is asked whether it still holds (If-None-Match, RFC 9110 section 13.1.2), and it is the value, itself, on
   * 304: for that Distribution reads the tag's link, but not the manifest, which may be gone from under it.
   */
  head(
    name: string,
    reference: Reference,
    timeout: number,
    known?: ManifestHead,
    signal?: AbortSignal,
  ): Promise<Answer<ManifestHead>>;
  /** Stores bytes under a tag or their digest; the value is the digest that the registry answered. */
  put(name: string, reference: Reference, manifest: Manifest, timeout: number): Promise<Answer<Digest | undefined>>;
  /** By digest, with all its tags; by tag, which Distribution 2 does not have (`invalid`). */
  delete(name: string, reference: Reference, timeout: number): Promise<Answer<undefined>>;
}

/** Manifests larger than this are refused (bytes). */
export const MANIFEST_MAX = 32 * 1024 * 1024;

// What a registry answers that takes no HEAD: it is asked by GET.
const NO_HEAD = new Set([400, 405, 501]);

/** Whether an answer to a condition says what it would say without one. */
function isPlainAnswer(statusCode: number): boolean {
  return statusCode === 200 || statusCode === 401 || statusCode === 404 || statusCode === 429 || statusCode >= 502;
}

function manifestPath(name: string, reference: Reference): string {
  return `/v2/${name}/manifests/${referenceText(reference)}`;
}

// RFC 6838 section 4.2; a longer name would be remembered with each tag.
const TYPE = /^[\w.+-]{1,127}\/[\w.+-]{1,127}$/;
const TYPE_HEADER_MAX = 1_024;

function parsed(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = parseJson(bytes);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** What a manifest says of itself: its `mediaType`, which schema 1 and old OCI manifests lack, or its form. */
function typeWithin(bytes: Buffer): string | undefined {
  const { mediaType, schemaVersion, signatures, manifests, config, layers } = parsed(bytes) ?? {};
  if (typeof mediaType === 'string' && TYPE.test(mediaType)) return mediaType;
  if (schemaVersion === 1) return signatures ? MANIFEST.dockerSchema1Signed : MANIFEST.dockerSchema1;
  if (schemaVersion !== 2) return undefined;
  if (Array.isArray(manifests)) return MANIFEST.ociIndex;
  return config && Array.isArray(layers) ? MANIFEST.ociManifest : undefined;
}

function mediaTypeOf(response: RegistryResponse, bytes?: Buffer): string {
  const header = headerText(response, 'content-type') ?? '';
  const declared = header.length > TYPE_HEADER_MAX ? '' : essence(header);
  const isDeclared = TYPE.test(declared);
  if (isDeclared && !isGeneric(declared)) return declared;
  return (bytes && typeWithin(bytes)) ?? (isDeclared ? declared : 'application/octet-stream');
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

  const noHead = createLapse();

  function checked(bytes: Buffer, response: RegistryResponse, reference: Reference): Answer<Manifest> {
    const mediaType = mediaTypeOf(response, bytes);
    const wanted = 'digest' in reference ? reference.digest : digestHeader(response);
    // Nothing but its form tells a manifest from a portal's page.
    if (!wanted && !parsed(bytes)) return unavailable('200 that is no manifest');
    // A tag's sha512 digest, say, is a name as good as any: keep the registry's own when the bytes have it.
    const digest = wanted ?? manifestDigest(bytes, mediaType);
    if (!isManifestOf(digest, bytes, mediaType)) return unavailable('manifest whose digest is wrong');
    return found({ mediaType, digest, bytes });
  }

  async function get(
    name: string,
    reference: Reference,
    timeout: number,
    signal?: AbortSignal,
  ): Promise<Answer<Manifest>> {
    const response = await sendOnward(client, {
      method: 'GET',
      target: manifestPath(name, reference),
      access: [pullAccess(name)],
      headers: { accept: ACCEPT_ALL },
      timeout,
      signal,
    });
    if (response.statusCode !== 200) return classify(response, 'manifest');
    const { bytes, failure } = await readBody(response, timeout, MANIFEST_MAX);
    return failure ? unavailable(`manifest broke off: ${failure.message}`) : checked(bytes, response, reference);
  }

  async function head(
    name: string,
    reference: Reference,
    timeout: number,
    known?: ManifestHead,
    signal?: AbortSignal,
  ): Promise<Answer<ManifestHead>> {
    if (noHead.isOn) return settled(name, reference, timeout, signal);
    const response = await sendOnward(client, {
      method: 'HEAD',
      target: manifestPath(name, reference),
      access: [pullAccess(name)],
      headers: known ? { accept: ACCEPT_ALL, 'if-none-match': `"${known.digest}"` } : { accept: ACCEPT_ALL },
      timeout,
      signal,
    });
    const { statusCode } = response;
    const digest = digestHeader(response);
    if (known && !isPlainAnswer(statusCode)) {
      discard(response);
      // Distribution names no digest here; who names another one did not understand the question either.
      const named = headerText(response, 'docker-content-digest') ?? known.digest;
      if (statusCode === 304 && named === known.digest) return found(known);
      return head(name, reference, timeout, undefined, signal);
    }
    // A bodiless 404 may be anybody's, and tags are removed on its word; a 200 may not name what it speaks of.
    const isVague = statusCode === 200 && (!digest || isGeneric(mediaTypeOf(response)));
    if (isVague && known && digest === known.digest) {
      discard(response);
      return found(known);
    }
    if (statusCode === 404 || isVague) {
      discard(response);
      return settled(name, reference, timeout, signal);
    }
    if (NO_HEAD.has(statusCode)) {
      discard(response);
      const answer = await settled(name, reference, timeout, signal);
      if (answer.kind === 'found') noHead.note();
      return answer;
    }
    if (statusCode !== 200 || !digest) return classify(response, 'manifest', 'HEAD');
    discard(response);
    const size = contentLength(response);
    return found({ mediaType: mediaTypeOf(response), digest, ...(size === undefined ? {} : { size }) });
  }

  async function settled(
    name: string,
    reference: Reference,
    timeout: number,
    signal?: AbortSignal,
  ): Promise<Answer<ManifestHead>> {
    const got = await get(name, reference, timeout, signal);
    if (got.kind !== 'found') return got;
    const { mediaType, digest, bytes } = got.value;
    return found({ mediaType, digest, size: bytes.length });
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
    discard(response);
    return found(digestHeader(response));
  }

  async function remove(name: string, reference: Reference, timeout: number): Promise<Answer<undefined>> {
    const target = manifestPath(name, reference);
    const response = await client.send({ method: 'DELETE', target, access: [deleteAccess(name)], timeout });
    if (response.statusCode !== 202 && response.statusCode !== 200) return classify(response, 'manifest');
    discard(response);
    return found(undefined);
  }

  return {
    get: (name, reference, timeout, signal) => answered(() => get(name, reference, timeout, signal)),
    head: (name, reference, timeout, known, signal) => answered(() => head(name, reference, timeout, known, signal)),
    delete: (name, reference, timeout) => answered(() => remove(name, reference, timeout)),
    put: (name, reference, manifest, timeout) => answered(() => put(name, reference, manifest, timeout)),
  };
}
