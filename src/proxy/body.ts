// A blob's answer: 200 or 206 with a body at the client's pace, or our own 416.
import type { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Meter } from '../lib/meter.ts';
import type { Digest } from '../oci/digest.ts';
import { OciError } from '../oci/error.ts';
import type { Span } from '../oci/range.ts';
import { contentHeaders } from './headers.ts';
import type { TimedResponse } from './response.ts';

/** A body's place in its blob; the size is undefined where it is not known for sure. */
export interface BodyShape {
  readonly size: number | undefined;
  readonly span: Span;
  readonly isPart: boolean;
}

/** How slow a client may be; `timeout` in milliseconds. */
export interface Pace {
  readonly timeout: number;
  readonly meter: Meter;
}

/** The media type of every blob's answer, as registries send it: the manifest has the real one. */
export const BLOB_TYPE = 'application/octet-stream';

/** Our own 416: registries' are malformed. */
export function unsatisfiable(size: number): OciError {
  return new OciError('RANGE_INVALID', 'the range is not in the blob', {
    headers: { 'content-range': `bytes */${size}` },
  });
}

/** Larger answers (bytes) do not fit into a socket's buffer, and stay in memory while a client does not read. */
const HELD_MIN = 16 * 1024;

/** Sends bytes that are in memory; a client that takes nothing of them for `timeout` ms is dropped. */
export function sendBytes(reply: FastifyReply, bytes: Buffer, { timeout, meter }: Pace): FastifyReply {
  if (bytes.length > HELD_MIN) dropIdle(reply, timeout, meter);
  return reply.send(bytes);
}

/**
 * Drops a client that takes nothing although bytes are ready for it. Time spent waiting for the primary does not count.
 */
function dropIdle(reply: FastifyReply, timeout: number, meter: Meter): void {
  const { raw } = reply;
  raw.setTimeout(timeout, () => {
    if (raw.writableLength === 0) {
      raw.setTimeout(timeout);
      return;
    }
    meter('readers_dropped_total');
    reply.request.cause = `the client took nothing for ${Math.round(timeout / 1_000)} s`;
    raw.destroy();
  });
}

/** Sends 200 or 206 with a body; a client that takes nothing for `timeout` ms is dropped. */
export function sendBody(
  reply: FastifyReply,
  digest: Digest,
  { size, span, isPart }: BodyShape,
  body: Readable,
  { timeout, meter }: Pace,
): FastifyReply {
  reply.code(isPart ? 206 : 200).headers(contentHeaders(digest, BLOB_TYPE));
  reply.header('accept-ranges', 'bytes');
  if (size !== undefined) reply.header('content-length', span.end - span.start + 1);
  if (isPart) reply.header('content-range', `bytes ${span.start}-${span.end}/${size ?? '*'}`);
  dropIdle(reply, timeout, meter);
  (reply.raw as TimedResponse).sentBefore = reply.raw.socket?.bytesWritten;
  return reply.send(body);
}
