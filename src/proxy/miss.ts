// A blob that is not here: read through from the primary while it is stored.
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DigestMismatch } from '../fill/source-errors.ts';
import type { Corrupt } from '../fill/filler.ts';
import type { BlobFill } from '../fill/blob-fill.ts';
import { readSource } from '../fill/source.ts';
import type { Caller } from '../lib/claim.ts';
import type { OciError } from '../oci/error.ts';
import { resolveRange, type ByteRange, type Span } from '../oci/range.ts';
import type { Failure } from '../registry/answer.ts';
import { sendBody, unsatisfiable } from './body.ts';
import type { ProxyDeps, ProxyOptions } from './deps.ts';
import type { Place } from './place.ts';
import { failureError } from './failure.ts';
import type { Note } from './tell.ts';

/** Serves a blob that the local registry does not have. */
export type ServeMiss = (
  request: FastifyRequest,
  reply: FastifyReply,
  place: Place,
  range: ByteRange | undefined,
) => Promise<FastifyReply>;

/** A range that begins this near (bytes) to what is there waits for it; a farther one is fetched by itself. */
const NEAR = 8 * 1024 * 1024;

/** Far parts at once: each has a slot to the primary for as long as its client takes. More wait for the fill. */
const FAR_MAX = 4;

/** A stream whose source is aborted as soon as the stream is destroyed. */
function leavable(source: (left: AbortSignal) => AsyncIterable<Buffer>): Readable {
  const left = new AbortController();
  const stream = Readable.from(source(left.signal), { objectMode: false });
  const destroy = stream._destroy.bind(stream);
  stream._destroy = (error, callback) => {
    left.abort();
    destroy(error, callback);
  };
  return stream;
}

/**
 * Waits for the end of the fill if the response headers depend on it: an empty blob has no body that could break off, and
 * an HTTP/1.0 client needs `Content-Length`.
 */
async function settle(fill: BlobFill, httpVersion: string): Promise<void> {
  if (fill.size === 0 || (fill.size === undefined && httpVersion === '1.0')) await fill.ended;
  if (fill.state === 'failed') throw fill.error ?? new Error('failed');
}

/** @see ServeMiss */
export function createMiss(deps: ProxyDeps, options: ProxyOptions): ServeMiss {
  const { filler, memory, meter } = deps;
  const { readerTimeout } = options;
  let farParts = 0;
  const failed = (failure: Failure | Corrupt, note?: Note): OciError =>
    failureError(failure, { note, primary: deps.primary, pushHost: options.pushHost });

  /** A part far beyond what is there, straight from the primary; undefined where the primary ignores ranges. */
  async function farPart({ name, digest }: Place, { start, end }: Span, caller: Caller): Promise<Readable | undefined> {
    const until = end + 1;
    const { open, how, atLeastRate } = filler.beside(name, digest, caller);
    const answer = await open(start, until);
    if (answer.kind !== 'found') throw failed(answer);
    if (answer.value.start === start) {
      const body: Readable = leavable((signal) =>
        atLeastRate(readSource(answer.value, open, { ...how, from: start, until, signal }), () => body),
      );
      return body;
    }
    answer.value.body.destroy();
    return undefined;
  }

  async function farBody(place: Place, fill: BlobFill, span: Span, caller: Caller): Promise<Readable | undefined> {
    farParts += 1;
    const body = await farPart(place, span, caller).catch((error: unknown) => {
      farParts -= 1;
      throw error;
    });
    if (!body) farParts -= 1;
    body?.once('close', () => (farParts -= 1));
    // A part of a blob whose bytes are wrong must not look complete.
    void fill.ended.then(() => {
      if (fill.error instanceof DigestMismatch) body?.destroy(fill.error);
    });
    return body;
  }

  async function bodyFor(place: Place, fill: BlobFill, span: Span | undefined, caller: Caller): Promise<Readable> {
    if (!span) return filler.read(place.name, fill);
    const isFar = fill.state === 'flying' && !fill.spooled?.isNear(span.start, NEAR) && farParts < FAR_MAX;
    const far = isFar ? await farBody(place, fill, span, caller) : undefined;
    return far ?? filler.read(place.name, fill, span);
  }

  return async (request, reply, place, range) => {
    const opened = await filler.open(place.name, place.digest, 'on-demand', request.caller);
    if (opened.kind !== 'found') {
      meter('pulls_total', { kind: 'blob', origin: opened.kind });
      throw failed(opened, request.note);
    }
    const fill = opened.value;
    try {
      void fill.ended.then(() => {
        if (fill.state !== 'whole' || fill.size === undefined) return;
        memory.learnSize(place.digest, fill.size);
        // The local registry has hashed what it stored.
        if (!memory.isDamaged(place.digest)) memory.markRead(place.digest);
      });
      await settle(fill, request.raw.httpVersion);
      const { size } = fill;
      // Without a size a range cannot be resolved; the whole blob is a right answer, too.
      const span = range && size !== undefined ? resolveRange(range, size) : undefined;
      if (range && size !== undefined && !span) throw unsatisfiable(size);
      // Another client reads this fill, or has read it: no byte crosses for this one.
      if (request.note) request.note.isShared = fill.wasRead;
      const body = await bodyFor(place, fill, span, request.caller);
      fill.countReader(body);
      meter('pulls_total', { kind: 'blob', origin: 'fill' });
      request.answeredFrom = 'fill';
      const shape = { size, span: span ?? { start: 0, end: (size ?? 0) - 1 }, isPart: span !== undefined };
      return sendBody(reply, place.digest, shape, body, { timeout: readerTimeout, meter });
    } finally {
      fill.release();
    }
  };
}
