// Manifests of one registry. They are requested with the full Accept, and used only if their digest is right.
import { deleteAccess, pullAccess, pushAccess } from '../auth/scope.ts';
import { parseDigest, type Digest } from '../oci/digest.ts';
import { isManifestOf, manifestDigest, type Manifest } from '../oci/manifest.ts';
import { ACCEPT_ALL, isGeneric } from '../oci/media-types.ts';
import { referenceText, type Reference } from '../oci/reference.ts';
import { answered, found, type Answer } from './answer.ts';
import { Cooldown, NO_HEAD } from './dialect.ts';
import { mediaTypeOf, parseManifest } from './manifest-type.ts';
import { Noun } from './noun.ts';
import { sendOnward } from './redirect.ts';
import { contentLength, discard, headerText, readBody, type RegistryResponse } from './response.ts';

/** What a HEAD says of a manifest. */
export interface ManifestHead {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size?: number;
}

interface Question {
  readonly name: string;
  readonly reference: Reference;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

/** Manifests larger than this are refused (bytes). */
export const MANIFEST_MAX = 32 * 1024 * 1024;

function manifestPath(name: string, reference: Reference): string {
  return `/v2/${name}/manifests/${referenceText(reference)}`;
}

function digestHeader(response: RegistryResponse): Digest | undefined {
  return parseDigest(response.headers['docker-content-digest']);
}

/** Whether an answer to If-None-Match means the same as without it. */
function isPlainAnswer(statusCode: number): boolean {
  return statusCode === 200 || statusCode === 401 || statusCode === 404 || statusCode === 429 || statusCode >= 502;
}

/** Whether a 304 confirms a manifest. Distribution names no digest there; another one means that it was misunderstood. */
function isConfirmed(response: RegistryResponse, { digest }: ManifestHead): boolean {
  return response.statusCode === 304 && (headerText(response, 'docker-content-digest') ?? digest) === digest;
}

/** Manifests by (repository, reference); `timeout` in milliseconds to the headers; `signal` as in a {@link RegistryRequest}. */
export class Manifests extends Noun {
  readonly #noHead = new Cooldown();

  get(name: string, reference: Reference, timeout: number, signal?: AbortSignal): Promise<Answer<Manifest>> {
    return answered(() => this.#get({ name, reference, timeout, signal }));
  }

  /**
   * A 200 without a digest is settled by GET and hash; a 404 by GET and its body. With `known` the registry is asked
   * whether that still holds (If-None-Match, RFC 9110 section 13.1.2); on 304 the value is `known` itself. Distribution
   * then reads the tag's link, but not the manifest, which may have been deleted.
   */
  head(
    name: string,
    reference: Reference,
    timeout: number,
    known?: ManifestHead,
    signal?: AbortSignal,
  ): Promise<Answer<ManifestHead>> {
    return answered(() => this.#head({ name, reference, timeout, signal }, known));
  }

  /** Stores a manifest under a tag or its digest; the value is the digest of the registry's answer. */
  put(name: string, reference: Reference, manifest: Manifest, timeout: number): Promise<Answer<Digest | undefined>> {
    return answered(async () => {
      const response = await this.client.send({
        method: 'PUT',
        target: manifestPath(name, reference),
        access: [pushAccess(name)],
        headers: { 'content-type': manifest.mediaType },
        body: manifest.bytes,
        timeout,
      });
      return this.conclude(response, 'upload', [201], () => digestHeader(response));
    });
  }

  /** Deletes by digest, with all its tags; or by tag, which Distribution 2 does not support (`invalid`). */
  delete(name: string, reference: Reference, timeout: number): Promise<Answer<undefined>> {
    return answered(async () => {
      const target = manifestPath(name, reference);
      const response = await this.client.send({ method: 'DELETE', target, access: [deleteAccess(name)], timeout });
      return this.conclude(response, 'manifest', [200, 202], () => undefined);
    });
  }

  #ask(method: 'GET' | 'HEAD', asked: Question, known?: ManifestHead): Promise<RegistryResponse> {
    const { name, reference, timeout, signal } = asked;
    return sendOnward(this.client, {
      method,
      target: manifestPath(name, reference),
      access: [pullAccess(name)],
      headers: known ? { accept: ACCEPT_ALL, 'if-none-match': `"${known.digest}"` } : { accept: ACCEPT_ALL },
      timeout,
      signal,
    });
  }

  async #get(asked: Question): Promise<Answer<Manifest>> {
    const response = await this.#ask('GET', asked);
    if (response.statusCode !== 200) return this.classify(response, 'manifest');
    const { bytes, failure } = await readBody(response, asked.timeout, MANIFEST_MAX);
    if (failure) return this.unusable(`manifest broke off: ${failure.message}`);
    return this.#checked(bytes, response, asked.reference);
  }

  #checked(bytes: Buffer, response: RegistryResponse, reference: Reference): Answer<Manifest> {
    const mediaType = mediaTypeOf(response, bytes);
    const wanted = 'digest' in reference ? reference.digest : digestHeader(response);
    // Without a digest only its form distinguishes a manifest from a portal's page.
    if (!wanted && !parseManifest(bytes)) return this.unusable('200 that is no manifest');
    // The registry's own digest is kept where the bytes have it: it may be a sha512, for example.
    const digest = wanted ?? manifestDigest(bytes, mediaType);
    if (!isManifestOf(digest, bytes, mediaType)) return this.unusable('manifest whose digest is wrong');
    return found({ mediaType, digest, bytes });
  }

  async #head(asked: Question, known?: ManifestHead): Promise<Answer<ManifestHead>> {
    if (this.#noHead.isOn) return this.#headByGet(asked);
    const response = await this.#ask('HEAD', asked, known);
    const { statusCode } = response;
    if (known && !isPlainAnswer(statusCode)) {
      discard(response);
      return isConfirmed(response, known) ? found(known) : this.#head(asked);
    }
    const digest = digestHeader(response);
    const isVague = statusCode === 200 && (!digest || isGeneric(mediaTypeOf(response)));
    if (isVague && known && digest === known.digest) {
      discard(response);
      return found(known);
    }
    // A 404 without a body may be from any server, and tags are removed because of it.
    if (statusCode === 404 || isVague || NO_HEAD.has(statusCode)) {
      discard(response);
      const answer = await this.#headByGet(asked);
      if (NO_HEAD.has(statusCode) && answer.kind === 'found') this.#noHead.start();
      return answer;
    }
    if (statusCode !== 200 || !digest) return this.classify(response, 'manifest', 'HEAD');
    discard(response);
    const size = contentLength(response);
    return found({ mediaType: mediaTypeOf(response), digest, ...(size === undefined ? {} : { size }) });
  }

  async #headByGet(asked: Question): Promise<Answer<ManifestHead>> {
    const answer = await this.#get(asked);
    if (answer.kind !== 'found') return answer;
    const { mediaType, digest, bytes } = answer.value;
    return found({ mediaType, digest, size: bytes.length });
  }
}
