// A blob that the local registry has: its bytes, its redirect to its storage, or our own 416.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { readSource } from '../fill/source.ts';
import { parseContentRange, rangeHeader, type ByteRange, type Span } from '../oci/range.ts';
import { found, RegistryOutage, type Answer } from '../registry/answer.ts';
import { sendBody, unsatisfiable } from './body.ts';
import type { Place, ProxyDeps, ProxyOptions } from './deps.ts';
import { API_VERSION, PRIVATE } from './headers.ts';
import { createAskLocal, type LocalAnswer } from './local.ts';
import { MendedBody } from './mend.ts';
import type { Proof } from './proof.ts';

/** Serves a blob from the local registry; a failure where it does not have it, or not whole. */
export type ServeHit = (
  request: FastifyRequest,
  reply: FastifyReply,
  place: Place,
  range: ByteRange | undefined,
) => Promise<Answer<true>>;

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const unusable = (reason: string): Answer<never> => ({ kind: 'unavailable', reason: `secondary: ${reason}` });
const NOT_HERE = { kind: 'missing', code: 'BLOB_UNKNOWN' } as const;

/** What a local 200 or 206 carries: the whole blob's size, and of a 206 which part of it. */
interface Shape {
  readonly size: number;
  readonly part?: Span;
}

function shapeOf({ statusCode, headers }: LocalAnswer): Shape | undefined {
  if (statusCode === 206) {
    const part = parseContentRange(headers['content-range']);
    return part?.size === undefined ? undefined : { size: part.size, part };
  }
  const size = Number(headers['content-length'] ?? NaN);
  return Number.isSafeInteger(size) && size >= 0 ? { size } : undefined;
}

/** Whether the blob's size decides which bytes a range means. */
function hangsOnSize(range: ByteRange, { part }: Shape): boolean {
  return 'suffix' in range || range.end === undefined || part?.end !== range.end;
}

/** @see ServeHit */
export function createHit(deps: ProxyDeps, options: ProxyOptions, proof: Proof): ServeHit {
  const { secondary, filler, memory, meter } = deps;
  const { secondaryTimeout = 2_000, readerTimeout = 60_000 } = options;
  const askLocal = createAskLocal(secondary.client, options.via, secondaryTimeout);

  function onward({ name, digest }: Place, until: number | undefined) {
    return (position: number, signal: AbortSignal): AsyncIterable<Buffer> => {
      const { open, onBytes } = filler.beside(name, digest);
      return readSource(undefined, open, { from: position, until, onBytes, signal });
    };
  }

  /** How a local 200 or 206 may be sent: with its size, without one where that is in doubt, or not at all. */
  async function judged(
    request: FastifyRequest,
    place: Place,
    shape: Shape | undefined,
    range: ByteRange | undefined,
  ): Promise<Answer<{ size: number | undefined; span: Span }>> {
    if (!shape) return unusable('blob without a size');
    const { size, part } = shape;
    // Without a length an old client would take a body that broke off for a whole one.
    const needsSize = part ? range && hangsOnSize(range, shape) : request.raw.httpVersion === '1.0';
    const verdict = await proof[needsSize ? 'prove' : 'judge'](place, size, request.log);
    if (verdict === 'damaged') return NOT_HERE;
    const span = part ?? { start: 0, end: size - 1 };
    if (verdict === 'whole') return found({ size, span });
    if (memory.sizeOf(place.digest) !== undefined) return unusable('blob of another size');
    if (part) return found({ size, span });
    return needsSize ? unusable('blob that cannot be read') : found({ size: undefined, span });
  }

  async function sendContent(
    ...[request, reply, place, range, answer]: [...Parameters<ServeHit>, LocalAnswer]
  ): Promise<Answer<true>> {
    const { stream } = answer;
    const shape = shapeOf(answer);
    const sendable = await judged(request, place, shape, range);
    if (sendable.kind !== 'found') {
      stream.destroy();
      return sendable;
    }
    const { size, span } = sendable.value;
    const until = size === undefined ? undefined : span.end + 1;
    const body = new MendedBody({
      digest: place.digest,
      body: stream,
      start: span.start,
      until,
      onward: onward(place, until),
      onDamage: (position, cause) =>
        proof.damage(place, request.log, `ended at byte ${position}: ${String(cause ?? 'not its digest')}`),
      onWhole: (whole) => {
        if (size === undefined) memory.learnSize(place.digest, whole);
      },
    });
    const sent = { size, span, isPart: shape?.part !== undefined };
    sendBody(reply, place.digest, sent, body, { timeout: readerTimeout, meter });
    return found(true as const);
  }

  /** Passes a redirect to the registry's storage on; one to the registry itself is no use to a client. */
  function sendRedirect(reply: FastifyReply, { digest }: Place, location: string | undefined): Answer<true> {
    const { origin } = secondary.client.origin;
    const target = location !== undefined && URL.canParse(location) ? new URL(location) : undefined;
    if (location === undefined || !target || target.origin === origin || !/^https?:$/.test(target.protocol)) {
      return { kind: 'unavailable', reason: 'secondary: redirect that leads nowhere' };
    }
    reply.code(307).headers({
      ...API_VERSION,
      ...PRIVATE,
      // As it came: it may be signed.
      location,
      'docker-content-digest': digest,
      'content-length': '0',
    });
    reply.send();
    return found(true as const);
  }

  async function sendOutOfRange(request: FastifyRequest, place: Place): Promise<Answer<true>> {
    const head = await secondary.blobs.head(place.name, place.digest, secondaryTimeout);
    if (head.kind !== 'found') return head;
    const { size } = head.value;
    if (size === undefined || (await proof.prove(place, size, request.log)) !== 'whole') return NOT_HERE;
    throw unsatisfiable(size);
  }

  async function hit(...[request, reply, place, range]: Parameters<ServeHit>): Promise<Answer<true>> {
    if (memory.isDamaged(place.digest)) {
      proof.lookAgain(place, request.log);
      return NOT_HERE;
    }
    // The last no bytes of a blob: registries answer this in ways of their own.
    if (range && 'suffix' in range && range.suffix === 0) return sendOutOfRange(request, place);
    const answer = await askLocal(reply, place, range && rangeHeader(range));
    const { statusCode, headers, stream } = answer;
    if (statusCode === 200 || statusCode === 206) return sendContent(request, reply, place, range, answer);
    stream.destroy();
    if (REDIRECTS.has(statusCode)) return sendRedirect(reply, place, headers.location);
    if (statusCode === 416) return sendOutOfRange(request, place);
    if (statusCode === 404) return NOT_HERE;
    return { kind: 'unavailable', reason: `secondary: answered ${statusCode}` };
  }

  return async (...asked) => {
    try {
      return await hit(...asked);
    } catch (error) {
      if (error instanceof RegistryOutage) return { kind: 'unavailable', reason: error.message };
      throw error;
    }
  };
}
