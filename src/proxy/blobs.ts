// GET and HEAD of blobs: from the local registry where it has them, else read through from the primary.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Grant } from '../auth/authorize.ts';
import type { Digest } from '../oci/digest.ts';
import { parseRange, type ByteRange } from '../oci/range.ts';
import { BUSY_HERE, found, type Answer } from '../registry/answer.ts';
import type { Blobs } from '../registry/blob.ts';
import { HandOver } from './accel.ts';
import { BLOB_TYPE } from './body.ts';
import type { Origin, ProxyDeps, ProxyOptions } from './deps.ts';
import type { Place } from './place.ts';
import { failureError } from './failure.ts';
import { contentHeaders, noneMatch, sendNotModified } from './headers.ts';
import { Hit } from './hit.ts';
import { NOT_HERE } from './judge.ts';
import { createMiss } from './miss.ts';
import { Proof } from './proof.ts';

/** Serves one blob request. */
export type ServeBlob = (
  request: FastifyRequest,
  reply: FastifyReply,
  path: { readonly name: string; readonly digest: Digest },
  grant: Grant,
) => Promise<FastifyReply>;

type Head = ReturnType<Blobs['head']>;

interface Looked {
  readonly answer: Awaited<Head>;
  readonly origin: Origin;
}

/** The range that a request asks for; none where `If-Range` names other content (RFC 9110 section 13.1.5). */
function rangeOf({ headers }: FastifyRequest, digest: Digest): ByteRange | undefined {
  const condition = [headers['if-range'] ?? []].flat()[0];
  return condition === undefined || noneMatch(condition, digest) ? parseRange(headers.range) : undefined;
}

/** @see ServeBlob */
export function createServeBlob(deps: ProxyDeps, options: ProxyOptions): ServeBlob {
  const { primary, secondary, storage, memory, places, meter } = deps;
  const { primaryTimeout, secondaryTimeout } = options;
  const proof = new Proof(deps, options);
  const handOver = new HandOver(deps, options);
  const hit = new Hit(deps, options, proof);
  const miss = createMiss(deps, options);

  async function localHead(request: FastifyRequest, place: Place): Promise<Answer<{ readonly size?: number }>> {
    if (memory.isDamaged(place.digest)) return NOT_HERE;
    const file = await storage?.find(place);
    const ask = (signal: AbortSignal): Head => secondary.blobs.head(place.name, place.digest, secondaryTimeout, signal);
    const here = file ? found(file) : await places.local.runFor(request.caller, ask, BUSY_HERE);
    if (here.kind !== 'found' || here.value.size === undefined) return here;
    return (await proof.confirm(place, here.value.size, request)) === 'damaged' ? NOT_HERE : here;
  }

  /**
   * Answers HEAD. It starts no fill, since push tools ask for every blob. A client that can push gets the primary's
   * answer alone; where clients have no tokens, the primary's answer, and our copy while the primary does not answer.
   */
  async function look(request: FastifyRequest, place: Place, canPush: Grant['canPush']): Promise<Looked> {
    const ask = (signal: AbortSignal): Head => primary.blobs.head(place.name, place.digest, primaryTimeout, signal);
    const atPrimary = async (): Promise<Looked> => {
      return { answer: await places.lookups.runFor(request.caller, ask, BUSY_HERE), origin: 'primary' };
    };
    const first = canPush === false ? undefined : await atPrimary();
    if (first && (canPush === true || first.answer.kind === 'found' || first.answer.kind === 'missing')) return first;
    const here = await localHead(request, place);
    return here.kind === 'found' ? { answer: here, origin: 'secondary' } : (first ?? atPrimary());
  }

  async function serveHead(
    request: FastifyRequest,
    reply: FastifyReply,
    place: Place,
    canPush: Grant['canPush'],
  ): Promise<FastifyReply> {
    const { answer, origin } = await look(request, place, canPush);
    meter('pulls_total', { kind: 'blob', origin: answer.kind === 'found' ? origin : answer.kind });
    if (answer.kind !== 'found') {
      throw failureError(answer, { note: request.note, primary, pushHost: options.pushHost });
    }
    request.answeredFrom = origin;
    const { size } = answer.value;
    if (noneMatch(request.headers['if-none-match'], place.digest)) return sendNotModified(reply, place.digest);
    reply.code(200).headers({ ...contentHeaders(place.digest, BLOB_TYPE), 'accept-ranges': 'bytes' });
    if (size !== undefined) reply.header('content-length', size);
    return reply.send();
  }

  return async (request, reply, place, grant) => {
    const isConditional = noneMatch(request.headers['if-none-match'], place.digest);
    if (request.method === 'HEAD' || isConditional) return serveHead(request, reply, place, grant.canPush);
    const range = rangeOf(request, place.digest);
    const local =
      (await handOver.serve(request, reply, place, range)) ?? (await hit.serve(request, reply, place, range));
    if (local.kind !== 'found') return miss(request, reply, place, range);
    meter('pulls_total', { kind: 'blob', origin: 'secondary' });
    request.answeredFrom = 'secondary';
    return reply;
  };
}
