// Refuses pushes, before anything else, by an answer that every client prints.
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { detached } from '../lib/lru.ts';
import { ERROR_MEDIA_TYPE } from '../oci/error.ts';
import type { ProxyDeps, ProxyOptions } from './deps.ts';
import { API_VERSION, isV2 } from './headers.ts';
import type { Note } from './tell.ts';

// A client that is still sending reads its answer late: the connection is closed only when the client is done, when
// nothing came for a while, or after this time (ms). A reset would make the client lose the answer.
const LINGER_IDLE = 5_000;
const LINGER_MAX = 30_000;

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether a method under /v2/ is a push: all but GET, HEAD and OPTIONS. */
export function isPush(method: string): boolean {
  return !READS.has(method);
}

function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
}

/**
 * The errors of a refused push (distribution-spec #error-codes). Podman and buildah send a push again three times after
 * UNSUPPORTED alone, and not after DENIED beside it; all clients print the first.
 */
function refusalOf(pushHost: string): string {
  const errors = [
    { code: 'UNSUPPORTED', message: `this registry is a read-only copy; push to ${pushHost} instead` },
    { code: 'DENIED', message: 'pushes are not taken here' },
  ];
  return JSON.stringify({ errors });
}

/**
 * Answers a push with 405, naming the host to push to; docker, skopeo, podman and buildah print that and do not try again.
 * The body is never used: what a client has sent by then is thrown away, and the connection is closed.
 */
export function refusePush(request: FastifyRequest, reply: FastifyReply, pushHost: string): void {
  const body = refusalOf(pushHost);
  const headers = {
    ...API_VERSION,
    allow: 'GET, HEAD',
    'content-type': ERROR_MEDIA_TYPE,
    'content-length': Buffer.byteLength(body),
  };
  if (!hasBody(request)) {
    reply.code(405).headers(headers).send(body);
    return;
  }
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(405, { ...headers, connection: 'close' });
  // The whole answer is sent now; only the end of the connection waits.
  raw.write(body);
  linger(request.raw, () => void raw.end());
}

// A push's path is not parsed: the log shows what looks like a name and a tag.
const PUSHED = /^\/v2\/([\w./-]{1,255}?)\/(?:manifests\/([\w.:-]{1,135})|blobs\/)/;

function noteOfPush(url: string): Note {
  const [, repository, reference] = PUSHED.exec(url) ?? [];
  return {
    kind: 'push',
    repository: repository && detached(repository),
    reference: reference && detached(reference),
    digest: undefined,
  };
}

/** Refuses a request if it is a push, and says whether it was one. */
export type RefusePushes = (request: FastifyRequest, reply: FastifyReply) => boolean;

/** @see RefusePushes */
export function createRefusePushes({ meter }: Pick<ProxyDeps, 'meter'>, { pushHost }: ProxyOptions): RefusePushes {
  return (request, reply) => {
    if (!isPush(request.method) || !isV2(request.raw.url ?? '')) return false;
    meter('pushes_refused_total');
    request.note = noteOfPush(request.raw.url ?? '');
    request.cause = 'a push: this registry is a read-only copy';
    refusePush(request, reply, pushHost);
    return true;
  };
}

/** Discards what the client still sends, within the limits; then calls `end`. */
function linger(body: IncomingMessage, end: () => void): void {
  const idle = setTimeout(end, LINGER_IDLE);
  const limit = setTimeout(end, LINGER_MAX);
  body.on('data', () => idle.refresh());
  body.once('end', end).once('error', end);
  body.once('close', () => {
    clearTimeout(idle);
    clearTimeout(limit);
  });
}
