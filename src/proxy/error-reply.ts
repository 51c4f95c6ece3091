// Sends every error under /v2/, as OCI error JSON.
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { DigestMismatch, Overlong, SourceFailed } from '../fill/source-errors.ts';
import { CallerLeft } from '../lib/claim.ts';
import { ERROR_MEDIA_TYPE, errorBody, OciError } from '../oci/error.ts';
import { API_VERSION } from './headers.ts';

// nginx's status for it, in its log.
const CLIENT_GONE = 499;

/** The client closed its connection before there was an answer. No answer is sent. */
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

/** Why, in one line for the log: the client's text, and the cause. */
function causeOf({ status, message, cause }: OciError, { headers }: FastifyRequest): string {
  if (status !== 401) return cause instanceof Error ? `${message}: ${cause.message}` : message;
  if (cause instanceof Error) return cause.message;
  return headers.authorization === undefined ? 'no token' : 'the token does not allow this';
}

/** Sends an error: its status, its headers, its body; its cause goes to the log only. */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const oci = asOciError(error);
  request.cause = causeOf(oci, request);
  // What a registry or a client does is one line of the log. An error of this program has its stack as well.
  if (oci.status === 500) request.log.error({ err: oci.cause ?? oci }, oci.message);
  if (request.note && oci.status === 401) request.note.isLogin = request.headers.authorization === undefined;
  // No client is left to answer, and thousands may leave at once.
  if (oci.status === CLIENT_GONE && reply.raw.destroyed) return reply.hijack();
  // The handler may have set headers of a success (lengths, digests).
  for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name);
  return reply
    .code(oci.status)
    .headers({ ...API_VERSION, ...oci.headers, 'content-type': ERROR_MEDIA_TYPE, 'x-content-type-options': 'nosniff' })
    .send(errorBody(oci.code, oci.message, oci.detail));
}
