// GET and HEAD of manifests: what the resolver decided, as far as the client's Accept allows it.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Grant } from '../auth/authorize.ts';
import { stayingCaller, type Caller } from '../lib/claim.ts';
import type { Log } from '../lib/log.ts';
import type { Digest } from '../oci/digest.ts';
import { OciError } from '../oci/error.ts';
import { defaultPlatformChild, type Manifest } from '../oci/manifest.ts';
import { essence, isIndex, MANIFEST } from '../oci/media-types.ts';
import type { Reference } from '../oci/reference.ts';
import { BUSY_HERE, type Answer, type Failure } from '../registry/answer.ts';
import type { Blobs } from '../registry/blob.ts';
import type { ManifestHead } from '../registry/manifest.ts';
import { accepts } from './accept.ts';
import { sendBytes } from './body.ts';
import type { Found, ProxyDeps, ProxyOptions } from './deps.ts';
import { failureError } from './failure.ts';
import { contentHeaders, noneMatch, sendNotModified, warnStale } from './headers.ts';
import type { Remembered } from './memory.ts';
import { Resolver } from './resolve.ts';

interface ManifestPath {
  readonly name: string;
  readonly reference: Reference;
}

/** A request for a manifest whose token was checked. */
type ManifestRequest = [request: FastifyRequest, reply: FastifyReply, path: ManifestPath, grant: Grant];

const OCI_TYPES = new Set<string>([MANIFEST.ociManifest, MANIFEST.ociIndex, MANIFEST.ociArtifact]);

/**
 * By digest, Docker's types are sent whatever the client accepts, and OCI's are refused then: both as registries do.
 */
function refusal(manifest: Manifest): OciError {
  const message = `the manifest is of type ${manifest.mediaType}, which the Accept header does not allow`;
  return new OciError('MANIFEST_UNKNOWN', message);
}

/** Serves manifests: what the resolver decided, as far as the client's Accept allows it. */
export class ManifestServer {
  readonly #deps: ProxyDeps;
  readonly #options: ProxyOptions;
  readonly #log: Log;
  readonly #resolver: Resolver;
  readonly #pace: Parameters<typeof sendBytes>[2];

  constructor(deps: ProxyDeps, options: ProxyOptions, log: Log) {
    this.#deps = deps;
    this.#options = options;
    this.#log = log;
    this.#resolver = new Resolver(deps, options, log);
    this.#pace = { timeout: options.readerTimeout, meter: deps.meter };
  }

  #failed(failure: Failure, { note }: FastifyRequest): OciError {
    return failureError(failure, { note, primary: this.#deps.primary, pushHost: this.#options.pushHost });
  }

  /**
   * Starts the blobs of a manifest that was a miss before the client asks for them. A HEAD starts none: a client that
   * pulls sends GET next, and for one that only checks whether a tag has moved the background is fast enough.
   */
  #startAhead(name: string, remembered: Remembered, { share }: Caller): void {
    if (remembered.ahead.length === 0 || !this.#deps.isStored(name)) return;
    const { ahead } = remembered;
    remembered.ahead = [];
    for (const digest of ahead) {
      this.#startBlob(name, digest, stayingCaller(share)).catch((error: unknown) => {
        this.#log.error({ repository: name, digest, err: error }, 'a blob was not started ahead');
      });
    }
  }

  async #startBlob(name: string, digest: Digest, caller: Caller): Promise<void> {
    const { secondaryTimeout } = this.#options;
    const { secondary, filler, places } = this.#deps;
    const ask = (): ReturnType<Blobs['head']> => secondary.blobs.head(name, digest, secondaryTimeout);
    const here = await places.local.runFor(caller, ask, BUSY_HERE);
    if (here.kind === 'missing') await filler.fill(name, digest, 'ahead', caller);
  }

  /**
   * The manifest that the client's Accept allows: the one that was asked for, or, for old clients, a list's child for
   * the default platform.
   */
  async #allowed(request: FastifyRequest, { name, reference }: ManifestPath, asked: Remembered): Promise<Remembered> {
    const { headers, caller } = request;
    const { accept } = headers;
    const { manifest } = asked;
    if (accepts(accept, manifest.mediaType)) return asked;
    if (OCI_TYPES.has(essence(manifest.mediaType))) throw refusal(manifest);
    if (!('tag' in reference) || !isIndex(manifest.mediaType)) return asked;
    const child = defaultPlatformChild(manifest);
    if (!child) throw refusal(manifest);
    const answer = await this.#resolver.byDigest(name, child, caller);
    if (answer.kind !== 'found') throw this.#failed(answer, request);
    return answer.value.value;
  }

  /** Asks the primary alone: a client that was told of our copy would skip an upload. */
  #headAtPrimary({ caller }: FastifyRequest, { name, reference }: ManifestPath): Promise<Answer<ManifestHead>> {
    const { primary, places } = this.#deps;
    const ask = (signal: AbortSignal): Promise<Answer<ManifestHead>> =>
      primary.manifests.head(name, reference, this.#options.primaryTimeout, undefined, signal);
    return places.lookups.runFor(caller, ask, BUSY_HERE);
  }

  async #sendHead(request: FastifyRequest, reply: FastifyReply, answer: Answer<ManifestHead>): Promise<FastifyReply> {
    const { meter } = this.#deps;
    meter('pulls_total', { kind: 'manifest', origin: answer.kind === 'found' ? 'primary' : answer.kind });
    if (answer.kind !== 'found') throw this.#failed(answer, request);
    request.answeredFrom = 'primary';
    const { digest, mediaType, size } = answer.value;
    if (request.note) request.note.digest = digest;
    if (noneMatch(request.headers['if-none-match'], digest)) return sendNotModified(reply, digest);
    reply.code(200).headers(contentHeaders(digest, mediaType));
    if (size !== undefined) reply.header('content-length', size);
    return reply.send();
  }

  /** Serves one request. */
  async serve(...[request, reply, path, grant]: ManifestRequest): Promise<FastifyReply> {
    const { name, reference } = path;
    const { caller } = request;
    const isHead = request.method === 'HEAD';
    if (isHead && grant.canPush === true)
      return this.#sendHead(request, reply, await this.#headAtPrimary(request, path));
    // Without tokens any client may be about to push: the primary answers, and our copy while it does not.
    if (isHead && grant.canPush === 'unknown' && 'digest' in reference) {
      const answer = await this.#headAtPrimary(request, path);
      if (answer.kind === 'found' || answer.kind === 'missing') return this.#sendHead(request, reply, answer);
    }
    const answer = await ('tag' in reference
      ? this.#resolver.byTag(name, reference.tag, caller)
      : this.#resolver.byDigest(name, reference.digest, caller));
    if (answer.kind === 'found') return this.#send(request, reply, path, answer.value);
    this.#deps.meter('pulls_total', { kind: 'manifest', origin: answer.kind });
    throw this.#failed(answer, request);
  }

  async #send(
    request: FastifyRequest,
    reply: FastifyReply,
    path: ManifestPath,
    { value: asked, origin, stale, cause }: Found<Remembered>,
  ): Promise<FastifyReply> {
    const served = await this.#allowed(request, path, asked);
    const { manifest } = served;
    this.#deps.meter('pulls_total', { kind: 'manifest', origin });
    request.answeredFrom = origin;
    if (request.note) request.note.digest = manifest.digest;
    if (stale !== undefined) {
      request.cause = cause ?? stale;
      warnStale(reply, stale);
    }
    if (noneMatch(request.headers['if-none-match'], manifest.digest)) return sendNotModified(reply, manifest.digest);
    reply.code(200).headers(served.headers);
    if (request.method === 'HEAD') return reply.send();
    this.#startAhead(path.name, served, request.caller);
    return sendBytes(reply, manifest.bytes, this.#pace);
  }
}
