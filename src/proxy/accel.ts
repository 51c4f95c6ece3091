// Delivery by nginx: the proxy decides, and nginx sends a local blob's bytes (nginx/registry-accel.conf is the other
// half).
import type { FastifyReply, FastifyRequest } from 'fastify';
import { pullAccess } from '../auth/scope.ts';
import type { Caller } from '../lib/claim.ts';
import { resolveRange, type ByteRange, type Span } from '../oci/range.ts';
import { BUSY_HERE, found, type Answer } from '../registry/answer.ts';
import { discard, type RegistryResponse } from '../registry/response.ts';
import { BLOB_TYPE } from './body.ts';
import type { ProxyDeps, ProxyOptions } from './deps.ts';
import type { Place } from './place.ts';
import { isPassword } from './delivery-check.ts';
import { contentHeaders } from './headers.ts';
import type { ServeHit } from './local-blob.ts';
import { NOT_HERE } from './judge.ts';

/**
 * A header that nginx sets in each request, in the place of a client's: `offered` by a site that can deliver for us,
 * `missed` where it was told to deliver and could not. Without it, or with another value, this process sends the bytes.
 */
const OFFER = 'x-geo-accel';

// The internal locations of the site.
const REGISTRY = '/geo-accel/registry';
const FILE = '/geo-accel/file';

/** Life (ms) of the token that nginx shows to the registry. */
const TOKEN_LIFE = 60_000;

// Below this (bytes) one answer of the registry costs less than its HEAD and nginx's question.
const SMALL = 64 * 1024;

/** Whether the request came through a trusted proxy: of any other only the peer's own address is known. */
function isFromTrusted({ ips }: FastifyRequest): boolean {
  return ips !== undefined && ips.length > 1;
}

/** Conditions that nginx would evaluate by the file's time, which only nginx uses. */
function hasOtherCondition({ headers }: FastifyRequest): boolean {
  return ['if-match', 'if-modified-since', 'if-unmodified-since'].some((name) => headers[name] !== undefined);
}

/** Whether nginx and we read the same range out of a request. */
function isClear({ headers }: FastifyRequest, range: ByteRange | undefined): boolean {
  return (headers.range === undefined) === (range === undefined);
}

/**
 * Clients ask like this for the rest of a body that broke off. Sent by this process it is continued from the primary
 * where that is needed.
 */
function isResuming(range: ByteRange | undefined): boolean {
  return range !== undefined && 'start' in range && range.start > 0 && range.end === undefined;
}

/** Where a blob is, for nginx, and the headers that it needs besides. */
interface Located {
  readonly size: number;
  readonly redirect: string;
  readonly headers: (span: Span | undefined) => Promise<Record<string, string> | undefined> | Record<string, string>;
}

/**
 * Answers 204, so that a client that gets this by mistake does not take it for an empty blob. nginx would keep our
 * `Cache-Control` and `Accept-Ranges` even where the answer comes from us in the end, so nginx adds these itself.
 */
function send(reply: FastifyReply, { digest }: Place, headers: Record<string, string>): void {
  const { 'cache-control': _, ...content } = contentHeaders(digest, BLOB_TYPE);
  reply.code(204).headers({ ...content, ...headers });
  reply.send();
}

/** Hands local blobs to nginx. */
export class HandOver {
  readonly #deps: ProxyDeps;
  readonly #options: ProxyOptions;

  constructor(deps: ProxyDeps, options: ProxyOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  async #inRegistry({ name, digest }: Place, caller: Caller): Promise<Located | typeof NOT_HERE | undefined> {
    const { secondaryTimeout } = this.#options;
    const { places, secondary } = this.#deps;
    const { client } = secondary;
    const target = `/v2/${name}/blobs/${digest}`;
    const access = [pullAccess(name)];
    const ask = (signal: AbortSignal): Promise<Answer<RegistryResponse>> =>
      client.ask({ method: 'HEAD', target, access, timeout: secondaryTimeout, signal });
    const answer = await places.local.runFor<Answer<RegistryResponse>>(caller, ask, BUSY_HERE);
    if (answer.kind !== 'found') return undefined;
    const response = answer.value;
    discard(response);
    if (response.statusCode === 404) return NOT_HERE;
    // A redirect to its storage is for the client, and without a size there is nothing to compare.
    const size = Number(response.headers['content-length'] ?? NaN);
    if (response.statusCode !== 200 || !Number.isSafeInteger(size)) return undefined;
    return {
      size,
      redirect: `${REGISTRY}${target}`,
      headers: async (span) => {
        const credentials = await client.credentials(access, TOKEN_LIFE);
        // A password is not given to nginx.
        if (credentials.kind !== 'found' || isPassword(credentials.value)) return undefined;
        const { value: authorization } = credentials;
        return {
          ...(authorization === undefined ? {} : { 'x-geo-authorization': authorization }),
          ...(span ? { 'x-geo-range': `bytes=${span.start}-${span.end}` } : {}),
        };
      },
    };
  }

  async #inFile(place: Place): Promise<Located | undefined> {
    const { storage } = this.#deps;
    const data = await storage?.find(place);
    return (
      data && {
        size: data.size,
        redirect: `${FILE}/${data.path}`,
        // For a whole file nginx sends Accept-Ranges itself.
        headers: (span): Record<string, string> => (span ? { 'x-geo-accept-ranges': 'bytes' } : {}),
      }
    );
  }

  async #locate(
    place: Place,
    range: ByteRange | undefined,
    caller: Caller,
  ): Promise<Located | typeof NOT_HERE | undefined> {
    const { delivery } = this.#options;
    const { memory } = this.#deps;
    const known = memory.sizeOf(place.digest);
    // Only a blob of a known size is handed over: nginx would send a file that was cut as a whole one.
    if (known === undefined || memory.isDamaged(place.digest)) return undefined;
    if (delivery === 'accel-file') return this.#inFile(place);
    return known <= SMALL || isResuming(range) ? undefined : this.#inRegistry(place, caller);
  }

  async #handOver(...[request, reply, place, range]: Parameters<ServeHit>): Promise<Answer<true> | undefined> {
    const { memory, meter } = this.#deps;
    const located = await this.#locate(place, range, request.caller);
    if (located === undefined || 'kind' in located) return located;
    if (located.size !== memory.sizeOf(place.digest)) return undefined;
    const span = range && resolveRange(range, located.size);
    if (range && !span) return undefined;
    const headers = await located.headers(span);
    if (!headers) return undefined;
    send(reply, place, { ...headers, 'x-accel-redirect': located.redirect });
    request.deliveredBy = 'nginx';
    if (request.note) request.note.handedBytes = span ? span.end - span.start + 1 : located.size;
    meter('local_deliveries_total', { by: 'nginx' });
    return found(true as const);
  }

  /** Hands a blob over; undefined where this process is to send its bytes, and a failure where it is not here. */
  async serve(...[request, reply, place, range]: Parameters<ServeHit>): Promise<Answer<true> | undefined> {
    const { delivery } = this.#options;
    if (delivery === undefined || delivery === 'stream' || !isFromTrusted(request)) return undefined;
    const offer = request.headers[OFFER];
    if (offer === 'missed') this.#deps.meter('nginx_misses_total');
    if (offer !== 'offered' || hasOtherCondition(request) || !isClear(request, range)) return undefined;
    return this.#handOver(request, reply, place, range);
  }
}
