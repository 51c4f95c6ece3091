// The admin listener's paths: health for supervisors, metrics for Prometheus, the API and the page for people.
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { StoreUnavailable, type RowStore } from '../replication/rows.ts';
import { NotCompared } from '../replication/suspension.ts';
import type { Administration } from './administration.ts';
import { createGuard, type Guard } from './guard.ts';
import type { CheckReadiness } from './health.ts';
import {
  InvalidInput,
  parseOrder,
  parseRepositoryQuery,
  parseRowQuery,
  type ParseRepositories,
  type Query,
} from './input.ts';
import type { Metrics } from './metrics.ts';
import type { PageData } from './page-attention.ts';
import { NotNow } from './order.ts';
import { PAGE_POLICY, renderPage } from './page.ts';
import type { PullRecorder } from './pulls/recorder.ts';
import type { TransfersView } from './pulls/transfers.ts';

/** What the admin listener answers from. */
export interface StatusDeps {
  readonly site: string;
  readonly checkReadiness: CheckReadiness;
  readonly metrics: Metrics;
  readonly administration: Administration;
  readonly rows: Pick<RowStore, 'damagedBlobs' | 'malformed'>;
  readonly parseRepositories: ParseRepositories;
  readonly pulls: PullRecorder;
  readonly transfers: TransfersView;
  /** What a request must carry; without one the listener is loopback only. */
  readonly adminToken?: string | undefined;
}

/** The orders of `POST /api/replication/…`. */
export const ORDERS = {
  backfill: 'backfill',
  verify: 'verify',
  retry: 'retry',
  'confirm-removals': 'confirmRemovals',
} as const satisfies Record<string, keyof Administration>;

const HEADERS = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

// Names, and a glob or two: an order is short.
const BODY_MAX = 64 * 1024;

// Rows and blobs that the page shows of each kind.
const PAGE_ROWS = 50;
const PAGE_EVENTS = 5;
const PAGE_REPOSITORIES = 10;

function sendFailure(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const say = (status: number, text: string): FastifyReply => reply.code(status).send({ error: text });
  if (error instanceof InvalidInput) return say(400, error.message);
  if (error instanceof NotNow || error instanceof NotCompared) return say(409, error.message);
  if (error.statusCode !== undefined && error.statusCode < 500) return say(error.statusCode, error.message);
  request.log.error({ err: error }, 'admin request failed');
  if (error instanceof StoreUnavailable) {
    return say(503, `the database cannot be used now (${error.message}): see to the disk of GEO_DATA_DIR`);
  }
  return say(500, 'this failed; the log says why');
}

async function pageData({ administration, rows }: StatusDeps): Promise<PageData> {
  const [snapshot, failed, unsupported, waiting, failedRepositories, held, damaged, malformed] = await Promise.all([
    administration.snapshot(),
    administration.list({ states: ['failed'], limit: PAGE_ROWS }),
    administration.list({ states: ['unsupported'], limit: PAGE_ROWS }),
    administration.list({ waiting: true, limit: PAGE_ROWS }),
    administration.listRepositories({ failed: true, limit: PAGE_REPOSITORIES }),
    administration.list({ held: true, limit: PAGE_ROWS }),
    rows.damagedBlobs(PAGE_ROWS),
    rows.malformed(PAGE_EVENTS),
  ]);
  const rest = { failedRepositories, held, damaged, malformed, now: Date.now() };
  return { snapshot, failed, unsupported, waiting, ...rest };
}

function addGuard(scope: FastifyInstance, guard: Guard): void {
  scope.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    const refusal = guard(request);
    if (!refusal) return undefined;
    return reply.code(refusal.status).headers(refusal.headers).send({ error: refusal.error });
  });
  scope.setErrorHandler((error: FastifyError, request, reply) => sendFailure(error, request, reply));
  // JSON is read by us, whatever it is called, so that what is wrong with it can be told.
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', { parseAs: 'string', bodyLimit: BODY_MAX }, (_request, body, done) =>
    done(null, body),
  );
}

function addApi(scope: FastifyInstance, { administration, parseRepositories }: StatusDeps): void {
  scope.get('/api/status', () => administration.snapshot());
  scope.get('/api/replication', (request) =>
    administration.list(parseRowQuery(request.query as Query, parseRepositories)),
  );
  scope.get('/api/replication/repositories', (request) =>
    administration.listRepositories(parseRepositoryQuery(request.query as Query, parseRepositories)),
  );
  for (const [name, order] of Object.entries(ORDERS)) {
    const url = `/api/replication/${name}`;
    scope.post(url, async (request, reply) => {
      const isVerify = order === 'verify';
      const given = parseOrder(request.query as Query, request.body, parseRepositories, { mayRehash: isVerify });
      return reply.code(202).send(await administration[order](given.repositories, given));
    });
    scope.get(url, (_request, reply) =>
      reply
        .code(405)
        .header('allow', 'POST')
        .send({ error: `${url}: ask with POST` }),
    );
  }
}

/**
 * Adds the admin paths: `/healthz` and `/readyz` open, without detail unless admitted; all else for the admitted (design,
 * HTTP on `GEO_ADMIN_LISTEN`).
 */
export function addStatusRoutes(app: FastifyInstance, deps: StatusDeps): void {
  const { site, checkReadiness, metrics, administration, adminToken } = deps;
  const guard = createGuard(adminToken, `geo-registry-proxy ${site}`);
  addHealthRoute(app);
  app.get('/readyz', async (request, reply) => {
    const { ready, status, reasons } = await checkReadiness();
    const detail = guard(request) ? '' : reasons.map((reason) => `\n${reason}`).join('');
    return reply
      .code(ready ? 200 : 503)
      .type('text/plain; charset=utf-8')
      .send(`${status}${detail}\n`);
  });
  void app.register(async (scope) => {
    addGuard(scope, guard);
    scope.get('/metrics', async (request, reply) => {
      const snapshot = await administration.snapshot({ asks: false }).catch((error: unknown) => {
        request.log.error({ err: error }, 'metrics without what the database knows');
        return undefined;
      });
      const { contentType, body } = await metrics.expose(snapshot);
      return reply.type(contentType).send(body);
    });
    scope.get('/', async (_request, reply) => {
      const body = renderPage(await pageData(deps));
      return reply.type('text/html; charset=utf-8').header('content-security-policy', PAGE_POLICY).send(body);
    });
    addApi(scope, deps);
  });
}

/** Adds `/healthz`: the process answers. */
export function addHealthRoute(app: FastifyInstance): void {
  app.get('/healthz', (_request, reply) => reply.type('text/plain; charset=utf-8').send('ok\n'));
}
