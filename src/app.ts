// The Fastify instances: the pull API with its health check, and the admin listener. Here, and in routes, Fastify ends.
import type { Socket } from 'node:net';
import replyFrom from '@fastify/reply-from';
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import type { Bindings, Logger } from 'pino';
import type { Dispatcher } from 'undici';
import { ERROR_MEDIA_TYPE, errorBody, OciError } from './oci/error.ts';
import type { ProxyDeps, ProxyOptions } from './proxy/deps.ts';
import { sendError } from './proxy/error-reply.ts';
import { createLocalAgent } from './proxy/local.ts';
import { isV2 } from './proxy/headers.ts';
import { createRefusePushes } from './proxy/push.ts';
import { TimedResponse } from './proxy/response.ts';
import { addPullRoutes } from './proxy/routes.ts';
import { createTell, type AnswerLog, type OnPull } from './proxy/tell.ts';
import { addWebhookRoute, type WebhookDeps } from './replication/webhook.ts';
import { addHealthRoute, addStatusRoutes, type StatusDeps } from './status/routes.ts';
import { SCHEMA_OPTIONS } from './status/schemas.ts';

/** What the instances are made of. */
export interface AppDeps {
  readonly logger: Logger;
  readonly proxy: ProxyDeps;
  readonly proxyOptions: ProxyOptions;
  /** The local registry and our own agent for it. */
  readonly secondary: { readonly origin: string; readonly dispatcher: Dispatcher };
  readonly trustedProxies: readonly string[];
  /** Without it there is no webhook. */
  readonly webhook?: WebhookDeps | undefined;
  /** Takes each pull when it has ended, for the page and the metrics. */
  readonly onPull?: OnPull | undefined;
}

// Tokens for many repositories are long; Node's own limit of 16 KiB cuts them off.
const HEADERS_MAX = 64 * 1024;
// Longer than the idle time of nginx (60 s) and of load balancers: they, not we, close an idle connection.
const KEEP_ALIVE = 75_000;

// Requests on one connection that have no answer yet. Clients and proxies that we know send the next one after it.
const WAITING_MAX = 128;

// Characters of X-Forwarded-For that are read: some twenty hops.
const HOPS_MAX = 1_024;

const CLIENT_ERRORS: Partial<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** Whether an answer is on its way, as Node's own handler of such errors asks: a second one would end up inside of it. */
function isAnswering(socket: Socket & { readonly _httpMessage?: { readonly headersSent: boolean } | null }): boolean {
  return socket._httpMessage?.headersSent === true;
}

/** Answers what is no HTTP, or too much of it. Nothing of it is logged: it may hold a token. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Socket): void {
  if (socket.writable && error.code !== 'ECONNRESET' && !isAnswering(socket)) {
    const status = CLIENT_ERRORS[error.code ?? ''] ?? '400 Bad Request';
    const body = errorBody('UNSUPPORTED', 'this is no request that can be read');
    socket.write(
      `HTTP/1.1 ${status}\r\nContent-Type: ${ERROR_MEDIA_TYPE}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
  }
  socket.destroy();
}

/** What is answered to a request that never reaches a route. */
type Refuse = (error: unknown, request: FastifyRequest, reply: FastifyReply) => void;

const refuse: Refuse = (error, request, reply) => void sendError(error, request, reply);

/** A request's logger, made when the request has something to say: most have not. */
class LateLogger {
  readonly #parent: FastifyBaseLogger;
  readonly #bindings: Bindings;
  #logger: FastifyBaseLogger | undefined;

  constructor(parent: FastifyBaseLogger, bindings: Bindings) {
    this.#parent = parent;
    this.#bindings = bindings;
  }

  get level(): string {
    return this.#parent.level;
  }

  get #made(): FastifyBaseLogger {
    return (this.#logger ??= this.#parent.child(this.#bindings));
  }

  trace(...line: Parameters<FastifyBaseLogger['trace']>): void {
    this.#made.trace(...line);
  }
  debug(...line: Parameters<FastifyBaseLogger['debug']>): void {
    this.#made.debug(...line);
  }
  info(...line: Parameters<FastifyBaseLogger['info']>): void {
    this.#made.info(...line);
  }
  warn(...line: Parameters<FastifyBaseLogger['warn']>): void {
    this.#made.warn(...line);
  }
  error(...line: Parameters<FastifyBaseLogger['error']>): void {
    this.#made.error(...line);
  }
  fatal(...line: Parameters<FastifyBaseLogger['fatal']>): void {
    this.#made.fatal(...line);
  }
  silent(...line: Parameters<FastifyBaseLogger['silent']>): void {
    this.#made.silent(...line);
  }
  child(...made: Parameters<FastifyBaseLogger['child']>): FastifyBaseLogger {
    return this.#made.child(...made);
  }
}

/** The client's address. Trusted hops are compared one by one: of a long header only the nearest ones are read. */
function clientOf(request: FastifyRequest): string | undefined {
  const { headers } = request.raw;
  const hops = headers['x-forwarded-for'] as string | undefined;
  if (hops !== undefined && hops.length > HOPS_MAX) {
    headers['x-forwarded-for'] = hops.slice(hops.indexOf(',', hops.length - HOPS_MAX) + 1);
  }
  return request.ip;
}

/** Leaves out what Fastify would log of requests; why a body broke off is noted for the request's own line. */
class QuietLog extends LogController {
  constructor() {
    super({ disableRequestLogging: true });
  }

  override streamError(error: Error & { readonly code?: string }, request: FastifyRequest): void {
    if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') request.cause ??= error.message;
  }
}

/** A request's target as a path: some clients send the whole URL (RFC 9112 section 3.2.2). */
function originForm({ url = '/' }: { readonly url?: string | undefined }): string {
  if (url.startsWith('/')) return url;
  const [, path] = /^https?:\/\/[^/?#]*(.*)$/i.exec(url) ?? [];
  if (path === undefined) return url;
  return path.startsWith('/') ? path : `/${path}`;
}

/** What an instance has beside its routes. */
interface InstanceOptions {
  readonly trustedProxies?: readonly string[];
  readonly onBadPath?: Refuse;
  readonly rewriteUrl?: typeof originForm;
  readonly onPull?: OnPull | undefined;
  /** The log of answers; `logger` unless another is given. */
  readonly answers?: (log: Logger) => AnswerLog;
}

function createInstance(
  logger: Logger,
  { trustedProxies = [], onBadPath = refuse, rewriteUrl, onPull, answers = (log) => log }: InstanceOptions = {},
): FastifyInstance {
  // Of what it says nothing can be a secret: to search each line for one would cost more than all the rest of it.
  const log = answers(logger.child({}, { redact: [] }));
  const tell = createTell({ log, addressOf: clientOf, onPull });
  /** An answer that is cut never finishes, but its response is closed like any other. */
  const watch = (request: FastifyRequest, reply: FastifyReply): void => {
    // Read while the socket is open, it is still known when the client has left.
    void request.raw.socket.remoteAddress;
    reply.raw.once('close', () => tell(request, reply));
  };
  const app = Fastify({
    // Its own lines say once more, of each address, what the start's line says; requests log to ours.
    loggerInstance: logger.child(
      {},
      { level: logger.isLevelEnabled('warn') ? 'warn' : logger.level },
    ) as FastifyBaseLogger,
    childLoggerFactory: (_parent, bindings) =>
      new LateLogger(logger as FastifyBaseLogger, bindings) as unknown as FastifyBaseLogger,
    logController: new QuietLog(),
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    http: { maxHeaderSize: HEADERS_MAX, ServerResponse: TimedResponse as never },
    keepAliveTimeout: KEEP_ALIVE,
    clientErrorHandler: refuseGarbage,
    ...(rewriteUrl ? { rewriteUrl } : {}),
    routerOptions: { maxParamLength: 1_024 },
    exposeHeadRoutes: true,
    ajv: { customOptions: SCHEMA_OPTIONS },
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    // A path that the router cannot decode never reaches a route.
    frameworkErrors: (error, request, reply) => {
      watch(request, reply);
      onBadPath(error, request, reply);
    },
  });
  for (const name of ['answeredFrom', 'deliveredBy', 'note', 'cause'] as const) app.decorateRequest(name, undefined);
  app.addHook('onRequest', (request, reply, done) => {
    watch(request, reply);
    done();
  });
  app.setNotFoundHandler((request, reply) => {
    const isOci = isV2(request.raw.url ?? '');
    if (isOci) return sendError(new OciError('UNSUPPORTED', 'no such endpoint', { status: 404 }), request, reply);
    return reply.code(404).type('text/plain; charset=utf-8').send('not found\n');
  });
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply));
  return app;
}

/** Ends connections on which very many answers wait for those before them: each is held in memory meanwhile. */
function boundWaiting({ server }: FastifyInstance): void {
  const waiting = new WeakMap<Socket, number>();
  server.on('request', ({ socket }, response) => {
    const count = (waiting.get(socket) ?? 0) + 1;
    waiting.set(socket, count);
    if (count > WAITING_MAX) socket.destroy();
    response.once('close', () => void waiting.set(socket, (waiting.get(socket) ?? 1) - 1));
  });
}

/** An instance, for those who start and end it. */
export type App = FastifyInstance;

/** The instance for `GEO_LISTEN`. */
export async function createApp(deps: AppDeps): Promise<FastifyInstance> {
  const refusePushes = createRefusePushes(deps.proxy, deps.proxyOptions);
  const app = createInstance(deps.logger, {
    trustedProxies: deps.trustedProxies,
    onPull: deps.onPull,
    rewriteUrl: originForm,
    onBadPath: (error, request, reply) => {
      if (!refusePushes(request, reply)) refuse(error, request, reply);
    },
  });
  boundWaiting(app);
  // A push is refused before its body comes: nobody is told to go on sending, and no other expectation is met either.
  for (const event of ['checkContinue', 'checkExpectation']) {
    app.server.on(event, (request, response) => void app.server.emit('request', request, response));
  }
  await app.register(replyFrom, {
    base: deps.secondary.origin,
    undici: createLocalAgent(deps.secondary.dispatcher) as never,
    disableCache: true,
    disableRequestLogging: true,
  });
  addPullRoutes(app, { ...deps.proxy, refusePushes }, deps.proxyOptions);
  if (deps.webhook) addWebhookRoute(app, deps.webhook);
  addHealthRoute(app);
  return app;
}

/** The instance for `GEO_ADMIN_LISTEN`. */
export function createAdminApp(logger: Logger, deps: StatusDeps): FastifyInstance {
  // Who looks, and what Prometheus asks each few seconds, is of no interest beside pulls.
  const app = createInstance(logger, {
    answers: (log) => {
      const debug = log.debug.bind(log);
      return { debug, info: debug, warn: debug };
    },
  });
  addStatusRoutes(app, deps);
  return app;
}
