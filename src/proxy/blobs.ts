// GET and HEAD of blobs: from the local registry where it has them, else read through from the primary.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Grant } from '../auth/authorize.ts';
import type { Digest } from '../oci/digest.ts';
import { parseContentRange, parseRange, rangeHeader, type ByteRange } from '../oci/range.ts';
import { found, RegistryOutage, type Answer, type Failure } from '../registry/answer.ts';
import { readSource } from '../fill/source.ts';
import type { Origin, Place, ProxyDeps, ProxyOptions } from './deps.ts';
import { failureError } from './failure.ts';
import { API_VERSION, contentHeaders, noneMatch, PRIVATE, sendNotModified } from './headers.ts';
import { createAskLocal, type LocalAnswer } from './local.ts';
import { MendedBody } from './mend.ts';
import { createMiss, sendBody, unsatisfiable } from './miss.ts';

/** Serves one blob request. */
export type ServeBlob = (
  request: FastifyRequest,
  reply: FastifyReply,
  path: { readonly name: string; readonly digest: Digest },
  grant: Grant,
) => Promise<FastifyReply>;

const BLOB_TYPE = 'application/octet-stream';
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

function numberOf(header: string | string[] | undefined): number | undefined {
  const value = Number(header ?? NaN);
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** @see ServeBlob */
export function createServeBlob(deps: ProxyDeps, options: ProxyOptions): ServeBlob {
  const { primary, secondary, memory, meter } = deps;
  const { primaryTimeout, secondaryTimeout = 2_000, readerTimeout = 60_000 } = options;
  const askLocal = createAskLocal(secondary.client, options.via, secondaryTimeout);
  const miss = createMiss(deps, options);

  function damage({ name, digest }: Place, request: FastifyRequest, cause: unknown): void {
    memory.markDamaged(digest);
    meter('local_repairs_total');
    request.log.error(
      { repository: name, digest, cause: String(cause) },
      'local blob is damaged; clients get it from the primary',
    );
  }

  /** Whether the local registry's size of a blob is right; where it differs from what is known the primary decides. */
  async function isRightSize({ name, digest }: Place, size: number): Promise<boolean> {
    const known = memory.sizeOf(digest);
    if (known === undefined || known === size) return true;
    const answer = await primary.blobs.head(name, digest, primaryTimeout);
    if (answer.kind !== 'found' || answer.value.size === undefined) return true;
    memory.learnSize(digest, answer.value.size);
    return answer.value.size === size;
  }

  function onward({ name, digest }: Place, until: number) {
    return (position: number): AsyncIterable<Buffer> =>
      readSource(undefined, (start) => primary.blobs.open(name, digest, primaryTimeout, { start, end: until - 1 }), {
        from: position,
        until,
      });
  }

  /** Sends a local 200 or 206; false where its size is wrong: it is no hit then. */
  async function sendHit(
    request: FastifyRequest,
    reply: FastifyReply,
    place: Place,
    answer: LocalAnswer,
  ): Promise<boolean> {
    const { stream, headers, statusCode } = answer;
    const part = statusCode === 206 ? parseContentRange(headers['content-range']) : undefined;
    const length = numberOf(headers['content-length']);
    const size = part ? part.size : length;
    if (size === undefined || (statusCode === 206 && !part)) {
      stream.destroy();
      throw new RegistryOutage('secondary', 'blob without a size');
    }
    if (!(await isRightSize(place, size))) {
      stream.destroy();
      damage(place, request, `local size ${size}`);
      return false;
    }
    const span = part ?? { start: 0, end: size - 1 };
    const body = new MendedBody({
      digest: place.digest,
      body: stream,
      start: span.start,
      until: span.end + 1,
      isUnproven: !part && memory.sizeOf(place.digest) === undefined,
      onward: onward(place, span.end + 1),
      onDamage: (position, cause) => damage(place, request, `ended at byte ${position}: ${String(cause)}`),
    });
    body.once('end', () => memory.learnSize(place.digest, size));
    sendBody(reply, place.digest, { size, span, isPart: part !== undefined }, body, readerTimeout, meter);
    return true;
  }

  /** Answers from the local registry; a failure where it has no answer. */
  async function hit(
    request: FastifyRequest,
    reply: FastifyReply,
    place: Place,
    range?: ByteRange,
  ): Promise<Answer<true>> {
    if (memory.isDamaged(place.digest)) return { kind: 'missing', code: 'BLOB_UNKNOWN' };
    const answer = await askLocal(reply, place, range && rangeHeader(range));
    const { statusCode, headers, stream } = answer;
    if (statusCode === 200 || statusCode === 206) {
      const sent = await sendHit(request, reply, place, answer);
      return sent ? found(true as const) : { kind: 'missing', code: 'BLOB_UNKNOWN' };
    }
    stream.destroy();
    if (REDIRECTS.has(statusCode)) return sendRedirect(reply, place, headers.location);
    if (statusCode === 416) return outOfRange(place);
    if (statusCode === 404) return { kind: 'missing', code: 'BLOB_UNKNOWN' };
    return { kind: 'unavailable', reason: `secondary: answered ${statusCode}` };
  }

  /** Passes a redirect to the registry's storage on; one to the registry itself is no use to a client. */
  function sendRedirect(reply: FastifyReply, { digest }: Place, location: string | undefined): Answer<true> {
    const { origin } = secondary.client.origin;
    if (location === undefined || !URL.canParse(location) || new URL(location).origin === origin) {
      return { kind: 'unavailable', reason: 'secondary: redirect to itself' };
    }
    reply
      .code(307)
      .headers({ ...API_VERSION, ...PRIVATE, location, 'docker-content-digest': digest, 'content-length': '0' });
    reply.send();
    return found(true as const);
  }

  async function outOfRange({ name, digest }: Place): Promise<Answer<true>> {
    const head = await secondary.blobs.head(name, digest, secondaryTimeout);
    if (head.kind !== 'found') return head;
    if (head.value.size !== undefined && (await isRightSize({ name, digest }, head.value.size))) {
      throw unsatisfiable(head.value.size);
    }
    return { kind: 'missing', code: 'BLOB_UNKNOWN' };
  }

  async function localHead(place: Place): Promise<Answer<{ size?: number }>> {
    if (memory.isDamaged(place.digest)) return { kind: 'missing', code: 'BLOB_UNKNOWN' };
    const here = await secondary.blobs.head(place.name, place.digest, secondaryTimeout);
    if (here.kind !== 'found' || here.value.size === undefined) return here;
    return (await isRightSize(place, here.value.size)) ? here : { kind: 'missing', code: 'BLOB_UNKNOWN' };
  }

  /** HEAD fills nothing: push tools ask it for every blob. A pusher gets the primary's word only. */
  async function head(place: Place, canPush: boolean): Promise<{ answer: Answer<{ size?: number }>; origin: Origin }> {
    const here: Answer<{ size?: number }> = canPush
      ? { kind: 'missing', code: 'BLOB_UNKNOWN' }
      : await localHead(place);
    if (here.kind === 'found') return { answer: here, origin: 'secondary' };
    return { answer: await primary.blobs.head(place.name, place.digest, primaryTimeout), origin: 'primary' };
  }

  async function serveHead(
    request: FastifyRequest,
    reply: FastifyReply,
    place: Place,
    canPush: boolean,
  ): Promise<FastifyReply> {
    const { answer, origin } = await head(place, canPush);
    meter('pulls_total', { kind: 'blob', origin: answer.kind === 'found' ? origin : answer.kind });
    if (answer.kind !== 'found') throw failureError(answer);
    request.answeredFrom = origin;
    const { size } = answer.value;
    if (noneMatch(request.headers['if-none-match'], place.digest)) return sendNotModified(reply, place.digest);
    reply.code(200).headers({ ...contentHeaders(place.digest, BLOB_TYPE), 'accept-ranges': 'bytes' });
    if (size !== undefined) reply.header('content-length', size);
    return reply.send();
  }

  async function tryHit(
    request: FastifyRequest,
    reply: FastifyReply,
    place: Place,
    range?: ByteRange,
  ): Promise<Answer<true>> {
    try {
      return await hit(request, reply, place, range);
    } catch (error) {
      if (error instanceof RegistryOutage) return { kind: 'unavailable', reason: error.message } satisfies Failure;
      throw error;
    }
  }

  return async (request, reply, place, grant) => {
    const { 'if-none-match': etag } = request.headers;
    const ifRange = [request.headers['if-range'] ?? []].flat()[0];
    const isConditional = noneMatch(etag, place.digest);
    if (request.method === 'HEAD' || isConditional) return serveHead(request, reply, place, grant.canPush);
    const isStillThis = ifRange === undefined || noneMatch(ifRange, place.digest);
    const range = isStillThis ? parseRange(request.headers.range) : undefined;
    const local = await tryHit(request, reply, place, range);
    if (local.kind === 'found') {
      meter('pulls_total', { kind: 'blob', origin: 'secondary' });
      request.answeredFrom = 'secondary';
      return reply;
    }
    return miss(request, reply, place, range);
  };
}
