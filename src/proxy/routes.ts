// The routes of the pull API: refuses pushes, ends loops, parses paths, checks tokens, then serves what was asked for.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../lib/claim.ts';
import { OciError } from '../oci/error.ts';
import { parsePath } from '../oci/path.ts';
import { createServeBlob } from './blobs.ts';
import { callerOf } from './caller.ts';
import type { ProxyDeps, ProxyOptions } from './deps.ts';
import { sendError } from './error-reply.ts';
import { API_VERSION, PRIVATE } from './headers.ts';
import { createServeList } from './lists.ts';
import { ManifestServer } from './manifests.ts';
import type { RefusePushes } from './push.ts';
import { noteOf } from './tell.ts';

/** Matches our own name among the hops of `Via`, without splitting a long header. */
function hopOf(via: string): RegExp {
  return new RegExp(`(?:^|,)[ \\t]*${via.replace(/[^\w ]/g, '\\$&')}[ \\t]*(?:,|$)`, 'i');
}

function checkLoop(request: FastifyRequest, via: RegExp): void {
  const received = request.headers.via;
  if (received === undefined || !via.test(received)) return;
  throw new OciError('UNSUPPORTED', 'this request came from this proxy: primary or secondary URL leads back to it', {
    status: 508,
  });
}

/** Adds the pull API to an instance on which reply-from is registered. */
export function addPullRoutes(
  app: FastifyInstance,
  deps: ProxyDeps & { readonly refusePushes: RefusePushes },
  options: ProxyOptions,
): void {
  const manifests = new ManifestServer(deps, options, app.log);
  const serveBlob = createServeBlob(deps, options);
  const serveList = createServeList(deps, options);
  const ownHop = hopOf(options.via);

  async function serve(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const path = parsePath(request.raw.url ?? '');
    const note = noteOf(path);
    request.note = note;
    checkLoop(request, ownHop);
    const grant = await deps.gate.authorize(request.headers.authorization, path);
    note.user = grant.user;
    request.caller = callerOf(grant.share, reply.raw);
    switch (path.kind) {
      case 'base':
        return reply
          .code(200)
          .headers({ ...API_VERSION, ...PRIVATE })
          .send({});
      case 'manifest':
        return manifests.serve(request, reply, path, grant);
      case 'blob':
        return serveBlob(request, reply, path, grant);
      case 'tags':
      case 'referrers':
      case 'catalog':
        return serveList(request, reply, path);
    }
  }

  app.decorateRequest('caller', undefined as unknown as Caller);
  app.addHook('onRequest', (request, reply, done) => {
    if (!deps.refusePushes(request, reply)) done();
  });
  for (const url of ['/v2', '/v2/*']) {
    // Which methods are allowed needs no token (RFC 9110 section 9.3.7).
    app.options(url, (_request, reply) =>
      reply
        .code(204)
        .headers({ ...API_VERSION, allow: 'GET, HEAD, OPTIONS' })
        .send(),
    );
    app.route({
      method: ['GET', 'HEAD'],
      url,
      handler: serve,
      errorHandler: (error, request, reply) => void sendError(error, request, reply),
    });
  }
}
