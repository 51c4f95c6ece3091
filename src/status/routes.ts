// The admin listener's paths: health for supervisors, metrics for Prometheus.
import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { CheckReadiness } from './health.ts';
import type { Metrics } from './metrics.ts';

/** What the admin listener answers from. */
export interface StatusDeps {
  readonly checkReadiness: CheckReadiness;
  readonly metrics: Metrics;
  /** What a request must carry as Bearer; without one the listener is loopback only. */
  readonly adminToken?: string | undefined;
}

function isSame(given: string, expected: string): boolean {
  const [first, second] = [given, expected].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(first!, second!);
}

/** A name that leads a browser here by somebody else's DNS is none of ours: without a token only addresses and localhost. */
function isOurHost(host: string | undefined): boolean {
  const name = (host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return name === 'localhost' || isIP(name) !== 0;
}

function isAdmitted(request: FastifyRequest, adminToken: string | undefined): boolean {
  if (adminToken === undefined) return isOurHost(request.headers.host);
  const given = /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
  return given !== undefined && isSame(given, adminToken);
}

function refuse(reply: FastifyReply, adminToken: string | undefined): FastifyReply {
  if (adminToken === undefined) return reply.code(403).send({ error: 'ask by address or localhost' });
  return reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'admin token needed' });
}

/** Adds the admin paths: `/healthz` and `/readyz` open and without detail unless admitted, `/metrics` for the admitted. */
export function addStatusRoutes(app: FastifyInstance, { checkReadiness, metrics, adminToken }: StatusDeps): void {
  addHealthRoute(app);
  app.get('/readyz', async (request, reply) => {
    const { ready, status, reasons } = await checkReadiness();
    const detail = isAdmitted(request, adminToken) ? reasons.map((reason) => `\n${reason}`).join('') : '';
    return reply
      .code(ready ? 200 : 503)
      .type('text/plain; charset=utf-8')
      .send(`${status}${detail}\n`);
  });
  app.get('/metrics', async (request, reply) => {
    if (!isAdmitted(request, adminToken)) return refuse(reply, adminToken);
    const { contentType, body } = await metrics.expose();
    return reply.type(contentType).send(body);
  });
}

/** Adds `/healthz`: the process answers. */
export function addHealthRoute(app: FastifyInstance): void {
  app.get('/healthz', (_request, reply) => reply.type('text/plain; charset=utf-8').send('ok\n'));
}
