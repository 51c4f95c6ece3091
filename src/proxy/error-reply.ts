// Every error under /v2/ leaves here, as OCI error JSON.
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { DigestMismatch, Overlong, SourceFailed } from '../fill/source-errors.ts';
import { CallerLeft } from '../lib/claim.ts';
import { ERROR_MEDIA_TYPE, errorBody, OciError } from '../oci/error.ts';
import { API_VERSION } from './headers.ts';

// As nginx calls it in its log.
const CLIENT_GONE = 499;

/** The client closed its connection before there was an answer: nobody's fault, and nobody to tell. */
export function clientGone(): OciError {
  return new OciError('UNKNOWN', 'the client left before its answer', { status: CLIENT_GONE });
}

function asOciError(error: unknown): OciError {
  if (error instanceof OciError) return error;
  if (error instanceof CallerLeft) return clientGone();
  if (error instanceof DigestMismatch || error instanceof Overlong) {
    return new OciError('UNKNOWN', 'the primary registry gave wrong bytes', { status: 502, cause: error });
  }
  if (error instanceof SourceFailed) {
    return new OciError('UNAVAILABLE', 'the primary registry broke off', {
      headers: { 'retry-after': '5' },
      cause: error,
    });
  }
  const { statusCode } = error as Partial<FastifyError>;
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new OciError('UNSUPPORTED', 'bad request', { status: statusCode, cause: error });
  }
  return new OciError('UNKNOWN', 'internal error', { cause: error });
}

/** Why, in one line for the log: what the client is told, and what is behind it. */
function causeOf({ status, message, cause }: OciError, { headers }: FastifyRequest): string {
  if (status !== 401) return cause instanceof Error ? `${message}: ${cause.message}` : message;
  if (cause instanceof Error) return cause.message;
  return headers.authorization === undefined ? 'no token' : 'the token does not allow this';
}

/** Sends an error: its status, its headers, its body; what is behind it goes to the log only. */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const oci = asOciError(error);
  request.cause = causeOf(oci, request);
  // Whatever a registry or a client does is one line; where that shows what is wrong with us has to be told.
  if (oci.status === 500) request.log.error({ err: oci.cause ?? oci }, oci.message);
  if (request.note && oci.status === 401) request.note.isLogin = request.headers.authorization === undefined;
  // There is nobody to answer, and thousands may leave at once.
  if (oci.status === CLIENT_GONE && reply.raw.destroyed) return reply.hijack();
  // Whatever the handler had set for a success (lengths, digests) is not this answer's.
  for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name);
  return reply
    .code(oci.status)
    .headers({ ...API_VERSION, ...oci.headers, 'content-type': ERROR_MEDIA_TYPE, 'x-content-type-options': 'nosniff' })
    .send(errorBody(oci.code, oci.message, oci.detail));
}
