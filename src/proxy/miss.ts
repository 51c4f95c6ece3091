// A blob that is not here: read through from the primary while it is stored.
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Flight } from '../fill/flight.ts';
import { readSource } from '../fill/source.ts';
import type { Meter } from '../lib/meter.ts';
import type { Digest } from '../oci/digest.ts';
import { OciError } from '../oci/error.ts';
import { resolveRange, type ByteRange, type Span } from '../oci/range.ts';
import type { Place, ProxyDeps, ProxyOptions } from './deps.ts';
import { failureError } from './failure.ts';
import { contentHeaders } from './headers.ts';

/** Serves a blob that the local registry does not have. */
export type ServeMiss = (
  request: FastifyRequest,
  reply: FastifyReply,
  place: Place,
  range: ByteRange | undefined,
) => Promise<FastifyReply>;

/** A body's place in its blob; the size is unknown where the primary does not say it. */
export interface BodyShape {
  readonly size: number | undefined;
  readonly span: Span;
  readonly isPart: boolean;
}

/** A range that begins this near (bytes) to what is there waits for it; a farther one is fetched by itself. */
const NEAR = 8 * 1024 * 1024;

/** Our own 416: registries' are malformed. */
export function unsatisfiable(size: number): OciError {
  return new OciError('RANGE_INVALID', 'the range is not in the blob', {
    headers: { 'content-range': `bytes */${size}` },
  });
}

/** Drops a client that takes nothing although there is something for it; a wait for the primary is not its fault. */
function dropIdle(reply: FastifyReply, timeout: number, meter: Meter): void {
  const { raw } = reply;
  raw.setTimeout(timeout, () => {
    if (raw.writableLength === 0) {
      raw.setTimeout(timeout);
      return;
    }
    meter('readers_dropped_total');
    raw.destroy();
  });
}

/** Sends 200 or 206 with a body. */
export function sendBody(
  reply: FastifyReply,
  digest: Digest,
  { size, span, isPart }: BodyShape,
  body: Readable,
  timeout: number,
  meter: Meter,
): FastifyReply {
  reply.code(isPart ? 206 : 200).headers(contentHeaders(digest, 'application/octet-stream'));
  reply.header('accept-ranges', 'bytes');
  if (size !== undefined) reply.header('content-length', span.end - span.start + 1);
  if (isPart) reply.header('content-range', `bytes ${span.start}-${span.end}/${size ?? '*'}`);
  dropIdle(reply, timeout, meter);
  return reply.send(body);
}

/** @see ServeMiss */
export function createMiss(deps: ProxyDeps, options: ProxyOptions): ServeMiss {
  const { primary, filler, memory, meter } = deps;
  const { primaryTimeout, readerTimeout = 60_000 } = options;

  /** A part far beyond what is there, straight from the primary; undefined where the primary ignores ranges. */
  async function farPart({ name, digest }: Place, { start, end }: Span): Promise<Readable | undefined> {
    const answer = await primary.blobs.open(name, digest, primaryTimeout, { start, end });
    if (answer.kind !== 'found') throw failureError(answer);
    if (answer.value.start !== start) {
      answer.value.body.destroy();
      return undefined;
    }
    const again = (position: number): ReturnType<typeof primary.blobs.open> =>
      primary.blobs.open(name, digest, primaryTimeout, { start: position, end });
    return Readable.from(readSource(answer.value, again, { from: start, until: end + 1 }), { objectMode: false });
  }

  async function bodyFor(place: Place, flight: Flight, span: Span | undefined): Promise<Readable> {
    if (!span) return filler.read(place.name, flight);
    const isFar = flight.state === 'flying' && span.start > flight.edge + NEAR;
    const far = isFar ? await farPart(place, span) : undefined;
    return far ?? filler.read(place.name, flight, span);
  }

  return async (request, reply, place, range) => {
    const opened = await filler.open(place.name, place.digest, 'on-demand');
    if (opened.kind !== 'found') {
      meter('pulls_total', { kind: 'blob', origin: opened.kind });
      throw failureError(opened);
    }
    const flight = opened.value;
    try {
      const { size } = flight;
      if (size !== undefined) memory.learnSize(place.digest, size);
      // Without a size there is no range to speak of: the whole blob is a right answer, too.
      const span = range && size !== undefined ? resolveRange(range, size) : undefined;
      if (range && size !== undefined && !span) throw unsatisfiable(size);
      if (size === 0) await flight.ended;
      if (flight.state === 'failed') throw flight.error ?? new Error('failed');
      const body = await bodyFor(place, flight, span);
      meter('pulls_total', { kind: 'blob', origin: 'fill' });
      request.answeredFrom = 'fill';
      const shape = { size, span: span ?? { start: 0, end: (size ?? 0) - 1 }, isPart: span !== undefined };
      return sendBody(reply, place.digest, shape, body, readerTimeout, meter);
    } finally {
      flight.release();
    }
  };
}
