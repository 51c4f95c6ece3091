// Blobs of one registry: opened at any byte, redirects to object storage followed without our Authorization.
import { Readable } from 'node:stream';
import { pullAccess } from '../auth/scope.ts';
import type { Digest } from '../oci/digest.ts';
import { parseContentRange, rangeHeader, type ByteRange } from '../oci/range.ts';
import { answered, found, type Answer } from './answer.ts';
import type { Classify } from './classify.ts';
import type { Client, RegistryRequest } from './client.ts';
import { createRanges } from './lapse.ts';
import { followRedirect, isRedirect, sendFollowing, type Followed } from './redirect.ts';
import { contentLength, discard, headerText, isJson, isPage, readText, type RegistryResponse } from './response.ts';

/** An open body: from byte `start` on. Whoever gets it reads or destroys it. */
export interface BlobBody {
  readonly body: Readable;
  readonly start: number;
  /** The last byte of the body, where the registry says it. */
  readonly end?: number;
  /** The whole blob's size in bytes, where the registry says it. */
  readonly size?: number;
}

/** Blobs by (repository, digest); `timeout` in milliseconds to the headers; `signal` as in a {@link RegistryRequest}. */
export interface Blobs {
  /**
   * GET; a registry that ignores the range, or does not take one, gives the whole body with `start` 0. What takes none is
   * asked for none for an hour.
   */
  open(
    name: string,
    digest: Digest,
    timeout: number,
    range?: ByteRange,
    signal?: AbortSignal,
  ): Promise<Answer<BlobBody>>;
  /** As `open`, where the registry was asked already and answered with a redirect to `location`. */
  openAt(
    name: string,
    digest: Digest,
    location: string | undefined,
    timeout: number,
    range?: ByteRange,
  ): Promise<Answer<BlobBody>>;
  /** The size, undefined where a registry does not say it. */
  head(
    name: string,
    digest: Digest,
    timeout: number,
    signal?: AbortSignal,
  ): Promise<Answer<{ readonly size?: number }>>;
}

// How S3 and those that speak it, GCS among them, and Azure say that an object is not there. Any web server says 404.
const NO_OBJECT = /<Code>(?:NoSuchKey|BlobNotFound)<\/Code>/;

// What a registry answers that takes no HEAD.
const NO_HEAD = new Set([400, 405, 501]);

function blobPath(name: string, digest: Digest): string {
  return `/v2/${name}/blobs/${digest}`;
}

function bodyOf(response: RegistryResponse): BlobBody | undefined {
  const { body, statusCode } = response;
  // Whoever destroys a body that nobody reads yet must not bring the process down by its error event.
  body.on('error', () => undefined);
  if (statusCode === 200) {
    const size = contentLength(response);
    return { body, start: 0, ...(size === undefined ? {} : { size, end: size - 1 }) };
  }
  const part = parseContentRange(String(response.headers['content-range'] ?? ''));
  return part && { body, ...part };
}

/** Ends a body of which only the first byte was wanted: one that is no longer is read, which keeps its connection. */
export function release({ body, end }: BlobBody): void {
  if (end === 0) body.resume();
  else body.destroy();
}

/** Whether a range that begins with the first byte was refused because there is none: all of an empty blob is here then. */
function isEmpty(response: RegistryResponse, range: ByteRange | undefined): boolean {
  const fromStart = range !== undefined && 'start' in range && range.start === 0;
  return fromStart && response.statusCode === 416 && headerText(response, 'content-range') === 'bytes */0';
}

/** Whether an answer is about the range and not about the blob: without one there may be another. */
function refusesRange(response: RegistryResponse, range: ByteRange): boolean {
  const { statusCode, headers } = response;
  const part = headers['content-range'];
  if (statusCode === 200) return part !== undefined;
  if (statusCode === 206) return !parseContentRange(String(part ?? ''));
  // Beyond the first byte there may be nothing.
  if (statusCode === 416) return 'start' in range && range.start === 0 && part !== 'bytes */0';
  // Trouble of the moment is no refusal either: the same is asked again.
  return ![401, 404, 429, 500].includes(statusCode) && statusCode < 502;
}

function requestOf(
  name: string,
  digest: Digest,
  timeout: number,
  range?: ByteRange,
  signal?: AbortSignal,
): RegistryRequest {
  return {
    method: 'GET',
    target: blobPath(name, digest),
    access: [pullAccess(name)],
    headers: range ? { range: rangeHeader(range) } : {},
    timeout,
    signal,
  };
}

/** @see Blobs */
export function createBlobs(client: Client, classify: Classify): Blobs {
  const ranges = createRanges();

  /** What a storage says is not in a registry's words: none of it means that the blob is missing, or refused to us. */
  async function storageFailure(response: RegistryResponse): Promise<Answer<never>> {
    const { statusCode } = response;
    const body = await readText(response);
    if (statusCode === 416) return { kind: 'unsatisfiable' };
    const reason = `${client.registry}: its storage answered ${statusCode}`;
    return {
      kind: 'unavailable',
      reason,
      ...(statusCode === 404 && NO_OBJECT.test(body) ? { storage: 'missing' } : {}),
    };
  }

  /** A portal says yes to everything: that is no blob, and no word that one belongs to a repository. */
  function pageFailure(response: RegistryResponse): Answer<never> {
    discard(response);
    return { kind: 'unavailable', reason: `${client.registry}: a page instead of a blob` };
  }

  async function opened({ response, isStorage }: Followed, range: ByteRange | undefined): Promise<Answer<BlobBody>> {
    const isContent = response.statusCode === 200 || response.statusCode === 206;
    if (isContent && isPage(response)) return pageFailure(response);
    if (isEmpty(response, range)) {
      discard(response);
      return found({ body: Readable.from([], { objectMode: false }), start: 0, size: 0 });
    }
    // A registry that led to its own other name says so in a registry's words.
    const isRegistry = response.statusCode === 404 && isJson(response);
    if (isStorage && !isContent && !isRegistry) return storageFailure(response);
    if (!isContent) return classify(response, 'blob');
    const body = bodyOf(response);
    if (body) return found(body);
    response.body.destroy();
    return { kind: 'unavailable', reason: `${client.registry}: 206 without a Content-Range` };
  }

  async function open(
    name: string,
    digest: Digest,
    timeout: number,
    range?: ByteRange,
    signal?: AbortSignal,
  ): Promise<Answer<BlobBody>> {
    const ask = (part?: ByteRange): Promise<Followed> =>
      sendFollowing(client, requestOf(name, digest, timeout, part, signal));
    if (!range || ranges.areOff) return opened(await ask(), undefined);
    const followed = await ask(range);
    // A storage says so of a signature that has ended: the next question has a fresh one.
    const isSignature = followed.isStorage && followed.response.statusCode === 403 && ranges.areProven;
    if (isSignature || !refusesRange(followed.response, range)) {
      if (followed.response.statusCode === 206) ranges.taken();
      return opened(followed, range);
    }
    followed.response.body.on('error', () => undefined).destroy();
    const whole = await opened(await ask(), undefined);
    if (whole.kind === 'found') ranges.refused();
    return whole;
  }

  async function head(
    name: string,
    digest: Digest,
    timeout: number,
    signal?: AbortSignal,
  ): Promise<Answer<{ size?: number }>> {
    const target = blobPath(name, digest);
    const response = await client.send({ method: 'HEAD', target, access: [pullAccess(name)], timeout, signal });
    if (response.statusCode === 200 && isPage(response)) return pageFailure(response);
    if (response.statusCode === 200) {
      discard(response);
      const size = contentLength(response);
      return found(size === undefined ? {} : { size });
    }
    // A storage's URL is signed for one method, a 404 may be anybody's, and some take no HEAD: the first byte settles it.
    const { statusCode } = response;
    const isOpen = isRedirect(statusCode) || (statusCode === 404 && !isJson(response)) || NO_HEAD.has(statusCode);
    if (!isOpen) return classify(response, 'blob', 'HEAD');
    discard(response);
    return settled(name, digest, timeout, signal);
  }

  async function settled(
    name: string,
    digest: Digest,
    timeout: number,
    signal?: AbortSignal,
  ): Promise<Answer<{ size?: number }>> {
    const first = await open(name, digest, timeout, { start: 0, end: 0 }, signal);
    // Of an empty blob there is no first byte, and not every storage says so with its size.
    if (first.kind === 'unsatisfiable') return found({ size: 0 });
    if (first.kind !== 'found') return first;
    release(first.value);
    return found(first.value.size === undefined ? {} : { size: first.value.size });
  }

  return {
    open: (name, digest, timeout, range, signal) => answered(() => open(name, digest, timeout, range, signal)),
    openAt: (name, digest, location, timeout, range) =>
      answered(async () =>
        opened(await followRedirect(client, requestOf(name, digest, timeout, range), location), range),
      ),
    head: (name, digest, timeout, signal) => answered(() => head(name, digest, timeout, signal)),
  };
}
