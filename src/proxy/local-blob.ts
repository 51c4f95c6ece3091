// The types of serving a local blob, from the registry or from its file, and of continuing it from the primary.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../lib/claim.ts';
import type { ByteRange } from '../oci/range.ts';
import type { Answer } from '../registry/answer.ts';
import type { Place } from './place.ts';

/** Serves a blob from the local registry; a failure where it does not have it, or not whole. */
export type ServeHit = (
  request: FastifyRequest,
  reply: FastifyReply,
  place: Place,
  range: ByteRange | undefined,
) => Promise<Answer<true>>;

/** The bytes of a blob from a position on, from the primary: what a local copy lacks before `until`, or before its end. */
export type Onward = (
  caller: Caller,
  place: Place,
  until: number | undefined,
) => (position: number, signal: AbortSignal) => AsyncIterable<Buffer>;
