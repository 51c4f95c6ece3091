// A blob that the local registry has: its bytes, its redirect to its storage, or our own 416.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { readSource } from '../fill/source.ts';
import { parseContentRange, rangeHeader, resolveRange, type ByteRange } from '../oci/range.ts';
import { BUSY_HERE, found, RegistryOutage, type Answer } from '../registry/answer.ts';
import type { Blobs } from '../registry/blob.ts';
import { sendBody, unsatisfiable } from './body.ts';
import type { ProxyDeps, ProxyOptions } from './deps.ts';
import type { Place } from './place.ts';
import { createFileHit } from './file-hit.ts';
import { API_VERSION, PRIVATE } from './headers.ts';
import type { Onward, ServeHit } from './local-blob.ts';
import { createJudge, NOT_HERE, unusable, type Shape } from './judge.ts';
import { createAskLocal, type LocalAnswer } from './local.ts';
import { MendedBody } from './mend.ts';
import type { Proof } from './proof.ts';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

function shapeOf({ statusCode, headers }: LocalAnswer): Shape | undefined {
  if (statusCode === 206) {
    const part = parseContentRange(headers['content-range']);
    return part?.size === undefined ? undefined : { size: part.size, part };
  }
  const size = Number(headers['content-length'] ?? NaN);
  return Number.isSafeInteger(size) && size >= 0 ? { size } : undefined;
}

/** Whether a part is the one that was asked for; all of a blob always is. */
function isAnswerTo(range: ByteRange | undefined, { size, part }: Shape): boolean {
  if (!part) return true;
  const wanted = range && resolveRange(range, size);
  return wanted?.start === part.start && wanted.end === part.end;
}

/** @see ServeHit */
export function createHit(deps: ProxyDeps, options: ProxyOptions, proof: Proof): ServeHit {
  const { secondary, storage, filler, memory, places, meter } = deps;
  const { secondaryTimeout = 2_000, readerTimeout = 60_000 } = options;
  const askLocal = createAskLocal(secondary.client, options.via, secondaryTimeout);
  const judge = createJudge(memory, proof);

  const onward: Onward =
    (caller, { name, digest }, until) =>
    (position, signal) => {
      const { open, onBytes } = filler.beside(name, digest, caller);
      return readSource(undefined, open, { from: position, until, onBytes, signal });
    };
  const sendFile = storage && createFileHit(deps, options, { proof, onward, storage });

  async function sendContent(
    ...[request, reply, place, range, answer]: [...Parameters<ServeHit>, LocalAnswer]
  ): Promise<Answer<true>> {
    const { stream } = answer;
    const shape = shapeOf(answer);
    const sendable =
      shape && isAnswerTo(range, shape)
        ? await judge(request, place, shape, range)
        : unusable('another part of a blob');
    if (sendable.kind !== 'found') {
      stream.destroy();
      return sendable;
    }
    const { size, span } = sendable.value;
    const until = size === undefined ? undefined : span.end + 1;
    // Its first reader in this process is the one who would get a flipped bit.
    const isHashed = span.start === 0 && until === size && !memory.wasRead(place.digest);
    const body = new MendedBody({
      digest: place.digest,
      body: stream,
      start: span.start,
      until,
      isHashed,
      onward: onward(request.caller, place, until),
      onDamage: (position, cause) => proof.doubt(place, request.log, { what: 'its body', position, cause }),
      onWhole: (whole) => {
        if (size !== undefined && !isHashed) return;
        memory.learnSize(place.digest, whole);
        memory.markRead(place.digest);
      },
    });
    meter('local_deliveries_total', { by: 'registry' });
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
    const ask = (signal: AbortSignal): ReturnType<Blobs['head']> =>
      secondary.blobs.head(place.name, place.digest, secondaryTimeout, signal);
    const head = await places.local.runFor(request.caller, ask, BUSY_HERE);
    if (head.kind !== 'found') return head;
    const { size } = head.value;
    if (size === undefined || (await proof.prove(place, size, request)) !== 'whole') return NOT_HERE;
    throw unsatisfiable(size);
  }

  async function hit(...[request, reply, place, range]: Parameters<ServeHit>): Promise<Answer<true>> {
    if (memory.isDamaged(place.digest)) {
      proof.lookAgain(place, request.log);
      return NOT_HERE;
    }
    const fromFile = await sendFile?.(request, reply, place, range);
    if (fromFile) return fromFile;
    // The last no bytes of a blob: registries answer this in ways of their own.
    if (range && 'suffix' in range && range.suffix === 0) return sendOutOfRange(request, place);
    const ask = (): Promise<LocalAnswer> => askLocal(reply, place, range && rangeHeader(range));
    const answer = await places.local.runFor<LocalAnswer | undefined>(request.caller, ask, undefined);
    if (!answer) return BUSY_HERE;
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
