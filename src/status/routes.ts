// The admin listener's paths: health for supervisors, metrics for Prometheus, the API and the page for people.
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { StoreUnavailable } from '../replication/rows.ts';
import { NotCompared } from '../replication/suspension.ts';
import { NotKnown } from './administration.ts';
import { addApi, type ApiDeps } from './api-routes.ts';
import { addEventRoutes } from './event-routes.ts';
import { Events } from './events.ts';
import { createGuard, type Check } from './guard.ts';
import type { CheckReadiness, Readiness } from './health.ts';
import type { Metrics } from './metrics.ts';
import { NotNow } from './order.ts';
import { unlessLate } from './patience.ts';
import { invalidInput, parseBody } from './schemas.ts';
import { addSessionRoutes } from './session-routes.ts';
import { createSessions } from './sessions.ts';
import { addSiteFiles } from './site-files.ts';

/** What the admin listener answers from. */
export interface StatusDeps extends ApiDeps {
  readonly site: string;
  readonly version: string;
  readonly checkReadiness: CheckReadiness;
  readonly metrics: Metrics;
  /** What a request must carry; without one the listener is loopback only. */
  readonly adminToken?: string | undefined;
}

const HEADERS = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

// Names, and a glob or two: an order is short.
const BODY_MAX = 64 * 1024;

// How long (ms) `/readyz` waits for what the rows tell.
const ROWS_PATIENCE = 2_000;

function sendFailure(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const say = (status: number, text: string): FastifyReply => reply.code(status).send({ error: text });
  if (error instanceof NotNow || error instanceof NotCompared) return say(409, error.message);
  if (error instanceof NotKnown) return say(404, error.message);
  if (error.statusCode !== undefined && error.statusCode < 500) return say(error.statusCode, error.message);
  request.log.error({ err: error }, 'admin request failed');
  if (error instanceof StoreUnavailable) {
    return say(503, `the database cannot be used now (${error.message}): see to the disk of GEO_DATA_DIR`);
  }
  return say(500, 'this failed; the log says why');
}

/** Requests are refused by `check`; what is asked is read by schemas, and what is wrong told in one line of JSON. */
function addRules(scope: FastifyInstance, check: Check): void {
  scope.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    const refusal = check(request);
    if (!refusal) return undefined;
    return reply.code(refusal.status).headers(refusal.headers).send({ error: refusal.error });
  });
  scope.setErrorHandler((error: FastifyError, request, reply) => sendFailure(error, request, reply));
  scope.setSchemaErrorFormatter(invalidInput);
  // JSON is read by us, whatever it is called, so that what is wrong with it can be told.
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', { parseAs: 'string', bodyLimit: BODY_MAX }, (_request, body, done) => {
    try {
      done(null, parseBody(String(body)));
    } catch (error) {
      done(error as Error);
    }
  });
  scope.addHook('preValidation', async (request) => {
    request.body ??= {};
  });
}

/** The status and its reasons, with what the rows tell where they can be read in time. */
async function judged(
  readiness: Readiness,
  { administration }: StatusDeps,
): Promise<Pick<Readiness, 'reasons'> & { readonly status: string }> {
  const snapshot = administration.snapshot({ readiness }).catch(() => undefined);
  return (await unlessLate(snapshot, ROWS_PATIENCE, undefined)) ?? readiness;
}

function addReadiness(app: FastifyInstance, deps: StatusDeps, check: Check): void {
  app.get('/readyz', async (request, reply) => {
    const readiness = await deps.checkReadiness();
    const { status, reasons } = await judged(readiness, deps);
    const detail = check(request) ? '' : reasons.map((reason) => `\n${reason}`).join('');
    return reply
      .code(readiness.ready ? 200 : 503)
      .type('text/plain; charset=utf-8')
      .send(`${status}${detail}\n`);
  });
}

function addMetrics(scope: FastifyInstance, { administration, metrics }: StatusDeps): void {
  scope.get('/metrics', async (request, reply) => {
    const snapshot = await administration.snapshot({ asks: false }).catch((error: unknown) => {
      request.log.error({ err: error }, 'metrics without what the database knows');
      return undefined;
    });
    const { contentType, body } = await metrics.expose(snapshot);
    return reply.type(contentType).send(body);
  });
}

/**
 * Adds the admin paths: `/healthz`, `/readyz` (without detail unless admitted), the page's files and its login are open;
 * all else is for the admitted (design, HTTP on `GEO_ADMIN_LISTEN`).
 */
export function addStatusRoutes(app: FastifyInstance, deps: StatusDeps): void {
  const { site, version, administration, views, adminToken } = deps;
  const sessions = createSessions();
  const guard = createGuard({ adminToken, realm: `geo-registry-proxy ${site}`, sessions });
  const events = new Events({
    snapshot: () => administration.snapshot(),
    pulls: views.pulls,
    transfers: views.transfers,
    log: app.log,
  });
  addHealthRoute(app);
  addReadiness(app, deps, guard.check);
  addSiteFiles(app);
  void app.register(async (scope) => {
    addRules(scope, guard.checkOrigin);
    addSessionRoutes(scope, { guard, sessions, site, version });
  });
  void app.register(async (scope) => {
    addRules(scope, guard.check);
    addMetrics(scope, deps);
    addApi(scope, deps);
    addEventRoutes(scope, events, guard);
  });
}

/** Adds `/healthz`: the process answers. */
export function addHealthRoute(app: FastifyInstance): void {
  app.get('/healthz', (_request, reply) => reply.type('text/plain; charset=utf-8').send('ok\n'));
}
