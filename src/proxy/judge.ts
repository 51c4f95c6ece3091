// How a local copy may be sent, whether it comes from the registry or from its file: with its size, without one where
// that is in doubt, or not at all.
import type { FastifyRequest } from 'fastify';
import type { ByteRange, Span } from '../oci/range.ts';
import { found, type Answer } from '../registry/answer.ts';
import type { Place } from './place.ts';
import type { Memory } from './memory.ts';
import type { Proof } from './proof.ts';

/** What a local copy says of itself: the whole blob's size, and of a part which part it is. */
export interface Shape {
  readonly size: number;
  readonly part?: Span | undefined;
}

/** What is sent of it; the size is undefined where only the hash can tell the end. */
export interface Sendable {
  readonly size: number | undefined;
  readonly span: Span;
}

/** Judges a local copy; a failure where the client must not get it. */
export type Judge = (
  request: FastifyRequest,
  place: Place,
  shape: Shape,
  range: ByteRange | undefined,
) => Promise<Answer<Sendable>>;

/** A local answer that is of no use. */
export const unusable = (reason: string): Answer<never> => ({ kind: 'unavailable', reason: `secondary: ${reason}` });

/** The answer where a blob is not here, or not whole. */
export const NOT_HERE = { kind: 'missing', code: 'BLOB_UNKNOWN' } as const;

/** Whether the blob's size decides which bytes a range means. */
function hangsOnSize(range: ByteRange, part: Span): boolean {
  return 'suffix' in range || range.end === undefined || part.end !== range.end;
}

/** @see Judge */
export function createJudge(memory: Memory, proof: Proof): Judge {
  return async (request, place, { size, part }, range) => {
    // Without a length an old client would take a body that broke off for a whole one.
    const needsSize = part ? range && hangsOnSize(range, part) : request.raw.httpVersion === '1.0';
    const verdict = await proof[needsSize ? 'prove' : part ? 'confirm' : 'judge'](place, size, request);
    if (verdict === 'damaged') return NOT_HERE;
    const span = part ?? { start: 0, end: size - 1 };
    if (verdict === 'whole') return found({ size, span });
    if (memory.sizeOf(place.digest) !== undefined) return unusable('blob of another size');
    if (part) return found({ size, span });
    return needsSize ? unusable('blob that cannot be read') : found({ size: undefined, span });
  };
}
