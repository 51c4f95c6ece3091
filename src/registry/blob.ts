// Blobs of one registry: opened at any byte; redirects to object storage are followed without our Authorization.
import { Readable } from 'node:stream';
import { pullAccess } from '../auth/scope.ts';
import type { Digest } from '../oci/digest.ts';
import { rangeHeader, type ByteRange } from '../oci/range.ts';
import { answered, found, type Answer, type Failure } from './answer.ts';
import { bodyOf, isEmpty, refusesRange } from './blob-answer.ts';
import type { RegistryRequest } from './client.ts';
import { NO_HEAD, RangeSupport } from './dialect.ts';
import { Noun } from './noun.ts';
import { followRedirect, isRedirect, sendFollowing, type Followed } from './redirect.ts';
import { contentLength, discard, isJson, isPage, readText, type RegistryResponse } from './response.ts';

/** An open body from byte `start` on. The receiver reads or destroys it. */
export interface BlobBody {
  readonly body: Readable;
  readonly start: number;
  /** The last byte of the body, where the registry gives it. */
  readonly end?: number;
  /** The whole blob's size in bytes, where the registry gives it. */
  readonly size?: number;
}

interface BlobHead {
  readonly size?: number;
}

// Codes of S3, GCS and Azure for an object that does not exist; any web server answers 404.
const NO_OBJECT = /<Code>(?:NoSuchKey|BlobNotFound)<\/Code>/;

/** Ends a body of which only the first byte is wanted. One of a single byte is read, which keeps its connection. */
export function release({ body, end }: BlobBody): void {
  if (end === 0) body.resume();
  else body.destroy();
}

function headOf(size: number | undefined): Answer<BlobHead> {
  return found(size === undefined ? {} : { size });
}

function requestOf(
  method: 'GET' | 'HEAD',
  name: string,
  digest: Digest,
  timeout: number,
  { range, signal }: { readonly range?: ByteRange | undefined; readonly signal?: AbortSignal | undefined },
): RegistryRequest {
  const headers = range ? { range: rangeHeader(range) } : {};
  return { method, target: `/v2/${name}/blobs/${digest}`, access: [pullAccess(name)], headers, timeout, signal };
}

/** Blobs by (repository, digest); `timeout` in milliseconds to the headers; `signal` as in a {@link RegistryRequest}. */
export class Blobs extends Noun {
  readonly #ranges = new RangeSupport();

  /** GET. A registry that ignores or refuses the range gives the whole body, with `start` 0. */
  open(
    name: string,
    digest: Digest,
    timeout: number,
    range?: ByteRange,
    signal?: AbortSignal,
  ): Promise<Answer<BlobBody>> {
    const ask = (part?: ByteRange): Promise<Followed> =>
      sendFollowing(this.client, requestOf('GET', name, digest, timeout, { range: part, signal }));
    return answered(() => this.#open(ask, range));
  }

  /** As `open`, where the registry has already answered with a redirect to `location`. */
  openAt(
    name: string,
    digest: Digest,
    location: string | undefined,
    timeout: number,
    range?: ByteRange,
  ): Promise<Answer<BlobBody>> {
    const request = requestOf('GET', name, digest, timeout, { range });
    return answered(async () => this.#opened(await followRedirect(this.client, request, location), range));
  }

  head(name: string, digest: Digest, timeout: number, signal?: AbortSignal): Promise<Answer<BlobHead>> {
    return answered(async () => {
      const response = await this.client.send(requestOf('HEAD', name, digest, timeout, { signal }));
      const { statusCode } = response;
      if (statusCode === 200 && isPage(response)) return this.#pageFailure(response);
      if (statusCode === 200) {
        discard(response);
        return headOf(contentLength(response));
      }
      // A storage's URL is signed for one method, any server answers 404, and some registries refuse HEAD.
      const isOpen = isRedirect(statusCode) || (statusCode === 404 && !isJson(response)) || NO_HEAD.has(statusCode);
      if (!isOpen) return this.classify(response, 'blob', 'HEAD');
      discard(response);
      return this.#headByGet(name, digest, timeout, signal);
    });
  }

  async #headByGet(name: string, digest: Digest, timeout: number, signal?: AbortSignal): Promise<Answer<BlobHead>> {
    const first = await this.open(name, digest, timeout, { start: 0, end: 0 }, signal);
    // An empty blob has no first byte, and not every storage answers that with its size.
    if (first.kind === 'unsatisfiable') return headOf(0);
    if (first.kind !== 'found') return first;
    release(first.value);
    return headOf(first.value.size);
  }

  async #open(ask: (part?: ByteRange) => Promise<Followed>, range?: ByteRange): Promise<Answer<BlobBody>> {
    if (!range || this.#ranges.isOff) return this.#opened(await ask(), undefined);
    const followed = await ask(range);
    const { response, isStorage } = followed;
    // The signature of a storage's URL has expired: the next request gets a new one.
    const isExpired = isStorage && response.statusCode === 403 && this.#ranges.isProven;
    if (isExpired || !refusesRange(response, range)) {
      if (response.statusCode === 206) this.#ranges.accepted();
      return this.#opened(followed, range);
    }
    response.body.on('error', () => undefined).destroy();
    const whole = await this.#opened(await ask(), undefined);
    if (whole.kind === 'found') this.#ranges.refused();
    return whole;
  }

  async #opened({ response, isStorage }: Followed, range: ByteRange | undefined): Promise<Answer<BlobBody>> {
    const isContent = response.statusCode === 200 || response.statusCode === 206;
    if (isContent && isPage(response)) return this.#pageFailure(response);
    if (isEmpty(response, range)) {
      discard(response);
      return found({ body: Readable.from([], { objectMode: false }), start: 0, size: 0 });
    }
    // A registry that redirected to another name of its own answers 404 in JSON.
    const isRegistry = response.statusCode === 404 && isJson(response);
    if (isStorage && !isContent && !isRegistry) return this.#storageFailure(response);
    if (!isContent) return this.classify(response, 'blob');
    const body = bodyOf(response);
    if (body) return found(body);
    response.body.destroy();
    return this.unusable('206 without a Content-Range');
  }

  /** A storage's answer is not a registry's: it never means that the blob is missing, or refused to us. */
  async #storageFailure(response: RegistryResponse): Promise<Failure> {
    const { statusCode } = response;
    const body = await readText(response);
    if (statusCode === 416) return { kind: 'unsatisfiable' };
    const failure = this.unusable(`its storage answered ${statusCode}`);
    return statusCode === 404 && NO_OBJECT.test(body) ? { ...failure, storage: 'missing' } : failure;
  }

  /** A portal answers 200 to everything. */
  #pageFailure(response: RegistryResponse): Failure {
    discard(response);
    return this.unusable('a page instead of a blob');
  }
}
