// A blob that the local registry has: its bytes, its redirect to its storage, or our own 416.
import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { readSource } from '../fill/source.ts';
import { parseContentRange, rangeHeader, resolveRange, type ByteRange } from '../oci/range.ts';
import { answered, BUSY_HERE, found, isNotStored, type Answer } from '../registry/answer.ts';
import type { BlobBody, Blobs } from '../registry/blob.ts';
import { isRedirect } from '../registry/redirect.ts';
import { sendBody, unsatisfiable } from './body.ts';
import type { ProxyDeps, ProxyOptions } from './deps.ts';
import type { Place } from './place.ts';
import { createFileHit } from './file-hit.ts';
import type { Onward, ServeHit } from './local-blob.ts';
import { createJudge, NOT_HERE, unusable, type Judge, type Shape } from './judge.ts';
import { createAskLocal, type AskLocal, type LocalAnswer } from './local.ts';
import { MendedBody } from './mend.ts';
import type { Proof } from './proof.ts';
import { PassOn } from './redirect.ts';

function shapeOf({ statusCode, headers }: LocalAnswer): Shape | undefined {
  if (statusCode === 206) {
    const part = parseContentRange(headers['content-range']);
    return part?.size === undefined ? undefined : { size: part.size, part };
  }
  const size = Number(headers['content-length'] ?? NaN);
  return Number.isSafeInteger(size) && size >= 0 ? { size } : undefined;
}

/** The shape of a storage's answer. One that has all bytes is a part only where that very range was asked for. */
function storageShape({ start, end, size }: BlobBody, range: ByteRange | undefined): Shape | undefined {
  if (size === undefined || end === undefined) return undefined;
  const isPart = range !== undefined && isAnswerTo(range, { size, part: { start, end } });
  return isPart || start > 0 || end < size - 1 ? { size, part: { start, end } } : { size };
}

/** Whether a part is the one that was asked for; all of a blob always is. */
function isAnswerTo(range: ByteRange | undefined, { size, part }: Shape): boolean {
  if (!part) return true;
  const wanted = range && resolveRange(range, size);
  return wanted?.start === part.start && wanted.end === part.end;
}

/** A local body, and what it says of itself. */
interface Content {
  readonly shape: Shape | undefined;
  readonly stream: Readable;
}

/** Serves blobs from the local registry. */
export class Hit {
  readonly #deps: ProxyDeps;
  readonly #options: ProxyOptions;
  readonly #proof: Proof;
  readonly #askLocal: AskLocal;
  readonly #judge: Judge;
  readonly #passOn: PassOn;
  readonly #sendFile: ReturnType<typeof createFileHit> | undefined;

  constructor(deps: ProxyDeps, options: ProxyOptions, proof: Proof) {
    const { secondary, storage, memory } = deps;
    this.#deps = deps;
    this.#options = options;
    this.#proof = proof;
    this.#askLocal = createAskLocal(secondary.client, options.via, options.secondaryTimeout);
    this.#judge = createJudge(memory, proof);
    this.#passOn = new PassOn(deps, options, proof);
    this.#sendFile = storage && createFileHit(deps, options, { proof, onward: this.#onward, storage });
  }

  readonly #onward: Onward =
    (caller, { name, digest }, until) =>
    (position, signal) => {
      const { open, how } = this.#deps.filler.beside(name, digest, caller);
      return readSource(undefined, open, { ...how, from: position, until, signal });
    };

  async #sendContent(
    ...[request, reply, place, range, { shape, stream }]: [...Parameters<ServeHit>, Content]
  ): Promise<Answer<true>> {
    const { readerTimeout } = this.#options;
    const { memory, meter } = this.#deps;
    const sendable =
      shape && isAnswerTo(range, shape)
        ? await this.#judge(request, place, shape, range)
        : unusable('another part of a blob');
    if (sendable.kind !== 'found') {
      stream.destroy();
      return sendable;
    }
    const { size, span } = sendable.value;
    const until = size === undefined ? undefined : span.end + 1;
    // Hashed for its first reader in this process, who might otherwise get a flipped bit.
    const isHashed = span.start === 0 && until === size && !memory.wasRead(place.digest);
    const body = new MendedBody({
      digest: place.digest,
      body: stream,
      start: span.start,
      until,
      isHashed,
      onward: this.#onward(request.caller, place, until),
      onDamage: (position, cause) => this.#proof.doubt(place, request.log, { what: 'its body', position, cause }),
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

  /** The local registry redirects to its storage: the redirect is passed on to the client, or followed here. */
  async #redirected(
    ...[request, reply, place, range, location]: [...Parameters<ServeHit>, string | undefined]
  ): Promise<Answer<true>> {
    const { secondaryTimeout } = this.#options;
    const { secondary } = this.#deps;
    if (this.#options.redirect !== 'stream') return this.#passOn.serve(request, reply, place, location);
    const opened = await secondary.blobs.openAt(place.name, place.digest, location, secondaryTimeout, range);
    if (opened.kind === 'unsatisfiable') return this.#sendOutOfRange(request, place);
    if (opened.kind !== 'found') {
      if (isNotStored(opened)) this.#deps.suspicion.suspect(place.name, place.digest);
      return opened;
    }
    const { body: stream } = opened.value;
    return this.#sendContent(request, reply, place, range, { shape: storageShape(opened.value, range), stream });
  }

  async #sendOutOfRange(request: FastifyRequest, place: Place): Promise<Answer<true>> {
    const { secondaryTimeout } = this.#options;
    const { secondary, places } = this.#deps;
    const ask = (signal: AbortSignal): ReturnType<Blobs['head']> =>
      secondary.blobs.head(place.name, place.digest, secondaryTimeout, signal);
    const head = await places.local.runFor(request.caller, ask, BUSY_HERE);
    if (head.kind !== 'found') return head;
    const { size } = head.value;
    if (size === undefined || (await this.#proof.prove(place, size, request)) !== 'whole') return NOT_HERE;
    throw unsatisfiable(size);
  }

  async #hit(...[request, reply, place, range]: Parameters<ServeHit>): Promise<Answer<true>> {
    const { memory, places } = this.#deps;
    if (memory.isDamaged(place.digest)) {
      this.#proof.lookAgain(place, request.log);
      return NOT_HERE;
    }
    const fromFile = await this.#sendFile?.(request, reply, place, range);
    if (fromFile) return fromFile;
    // `bytes=-0`: registries disagree on it.
    if (range && 'suffix' in range && range.suffix === 0) return this.#sendOutOfRange(request, place);
    const ask = (): Promise<LocalAnswer> => this.#askLocal(reply, place, range && rangeHeader(range));
    const answer = await places.local.runFor<LocalAnswer | undefined>(request.caller, ask, undefined);
    if (!answer) return BUSY_HERE;
    const { statusCode, headers, stream } = answer;
    if (statusCode === 200 || statusCode === 206) {
      return this.#sendContent(request, reply, place, range, { shape: shapeOf(answer), stream });
    }
    stream.destroy();
    if (isRedirect(statusCode)) return this.#redirected(request, reply, place, range, headers.location);
    if (statusCode === 416) return this.#sendOutOfRange(request, place);
    if (statusCode === 404) return NOT_HERE;
    return { kind: 'unavailable', reason: `secondary: answered ${statusCode}` };
  }

  /** @see ServeHit */
  serve(...asked: Parameters<ServeHit>): Promise<Answer<true>> {
    return answered(() => this.#hit(...asked));
  }
}
