// An admin listener that answers from a mock site: the built page with its policy, the API, the events, the actions.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { CONTENT_SECURITY_POLICY } from '../../../src/status/site-files.ts';
import type { ListedRow, Pull } from '../../../web/contract.ts';
import { attention, groups, image, listing, repositories, repository } from './answers.ts';
import { statusOf, type MockSite } from './site.ts';

const built = resolve(import.meta.dirname, '../../../dist/web');
const TYPES: Record<string, string> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

interface Action {
  readonly name: string;
  readonly body: Record<string, string>;
}

export interface MockServer {
  readonly url: string;
  site: MockSite;
  /** What was posted below /api/replication. */
  readonly actions: Action[];
  /** Bytes of bodies of the page's own files. */
  sent: number;
  /** An answer with this error in the place of the next action's. */
  failNext: { status: number; error: string } | undefined;
  /** Sends the status to whoever follows. */
  push(): void;
  /** Sends pulls to whoever follows. */
  pushPulls(pulls: readonly Pull[]): void;
  /** Ends all connections, and takes no others; `resume` does again. */
  cut(): Promise<void>;
  resume(): Promise<void>;
  close(): Promise<void>;
}

export interface MockOptions {
  readonly token?: string;
  readonly port?: number;
}

const COOKIE = 'geo_admin=good';

function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(value));
}

function emit(response: ServerResponse, name: string, value: unknown): void {
  response.write(`event: ${name}\ndata: ${JSON.stringify(value)}\n\n`);
}

function isMeant(row: ListedRow, body: Record<string, string>): boolean {
  return (
    (!body['repository'] || row.repository === body['repository']) &&
    (!body['reference'] || row.reference === body['reference']) &&
    (!body['cause'] || row.error === body['cause'])
  );
}

/** @see MockServer */
export async function startMockServer(
  site: MockSite,
  { token, port: wanted = 0 }: MockOptions = {},
): Promise<MockServer> {
  const followers = new Set<ServerResponse>();
  const sockets = new Set<Socket>();
  let server: Server;
  let port = wanted;

  const isAdmitted = ({ headers }: IncomingMessage): boolean =>
    token === undefined || (headers.cookie ?? '').includes(COOKIE);
  const emitAll = (name: string, value: unknown): void => followers.forEach((one) => emit(one, name, value));

  function follow(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    followers.add(response);
    response.on('close', () => followers.delete(response));
    emit(response, 'status', statusOf(mock.site));
    emit(response, 'traffic', mock.site.traffic.hour.points.at(-1));
    emit(response, 'transfers', { transfers: mock.site.transfers });
  }

  function act(name: string, body: Record<string, string>): unknown {
    const { rows } = mock.site;
    if (name === 'retry') {
      const meant = rows.filter((row) => row.state === 'failed' && isMeant(row, body));
      mock.site.rows = rows.map((row) =>
        meant.includes(row) ? { ...row, state: 'pending', nextAttemptAt: null } : row,
      );
      return { changed: meant.length };
    }
    if (name === 'confirm-removals') {
      const meant = rows.filter((row) => row.held && isMeant(row, body));
      mock.site.rows = rows.filter((row) => !meant.includes(row));
      return { confirmed: meant.length, suspended: false };
    }
    if (name === 'clear-damaged') {
      const left = mock.site.damaged.filter(({ digest }) => body['digest'] && digest !== body['digest']);
      const cleared = mock.site.damaged.length - left.length;
      mock.site.damaged = left;
      return { cleared };
    }
    return { started: true, run: null };
  }

  async function post(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const body = JSON.parse(text || '{}') as Record<string, string>;
    if (path === '/api/login') {
      if (body['token'] !== token) return json(response, { error: 'wrong token' }, 401);
      response.writeHead(204, { 'set-cookie': `${COOKIE}; HttpOnly; SameSite=Strict; Path=/` });
      return void response.end();
    }
    if (path === '/api/logout') {
      response.writeHead(204, { 'set-cookie': 'geo_admin=; Max-Age=0; Path=/' });
      return void response.end();
    }
    const name = path.replace('/api/replication/', '');
    mock.actions.push({ name, body });
    const failure = mock.failNext;
    mock.failNext = undefined;
    if (failure) return json(response, { error: failure.error }, failure.status);
    json(response, act(name, body), 202);
    mock.push();
  }

  function sendFile(request: IncomingMessage, response: ServerResponse, name: string): void {
    const isBrotli = String(request.headers['accept-encoding']).includes('br') && existsSync(join(built, `${name}.br`));
    const body = readFileSync(join(built, isBrotli ? `${name}.br` : name));
    mock.sent += body.length;
    response.writeHead(200, {
      'content-type': TYPES[name.split('.').at(-1)!] ?? 'text/plain; charset=utf-8',
      'cache-control': /-[A-Z0-9]{8}\./.test(name) ? 'public, max-age=31536000, immutable' : 'no-cache',
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'x-content-type-options': 'nosniff',
      ...(isBrotli ? { 'content-encoding': 'br', vary: 'accept-encoding' } : {}),
    });
    response.end(body);
  }

  function answer(path: string, query: URLSearchParams): unknown {
    const { site: shown } = mock;
    switch (path) {
      case '/api/status':
        return statusOf(shown);
      case '/api/traffic':
        return shown.traffic[query.get('window') === 'day' ? 'day' : 'hour'];
      case '/api/pulls':
        return { pulls: shown.pulls.slice(0, Number(query.get('limit') ?? 200)) };
      case '/api/transfers':
        return { transfers: shown.transfers };
      case '/api/groups':
        return groups(shown, query);
      case '/api/replication/repositories':
        return repositories(shown, query);
      case '/api/replication':
        return listing(shown, query);
      case '/api/repository':
        return repository(shown, query);
      case '/api/image':
        return image(shown, query);
      case '/api/attention':
        return attention(shown);
      case '/api/doctor':
        return { findings: shown.findings };
      default:
        return undefined;
    }
  }

  function handle(request: IncomingMessage, response: ServerResponse): void {
    const { pathname: path, searchParams: query } = new URL(request.url!, 'http://mock');
    const name = path === '/' ? 'index.html' : path.slice(1);
    if (readdirSync(built).includes(name)) return sendFile(request, response, name);
    if (path === '/api/session') {
      const { version, site: siteName } = mock.site.status;
      const isIn = isAdmitted(request);
      return json(response, { needsLogin: !isIn, canLogout: token !== undefined && isIn, site: siteName, version });
    }
    if (path !== '/api/login' && !isAdmitted(request)) return json(response, { error: 'log in' }, 401);
    if (request.method === 'POST') return void post(request, response, path);
    if (path === '/api/events') return follow(response);
    const found = answer(path, query);
    json(response, found ?? { error: `nothing at ${path}` }, found === undefined ? 404 : 200);
  }

  async function listen(): Promise<void> {
    server = createServer(handle);
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
    port = (server.address() as AddressInfo).port;
  }

  async function cut(): Promise<void> {
    const ended = new Promise((done) => server.close(done));
    for (const socket of sockets) socket.destroy();
    await ended;
  }

  const mock: MockServer = {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    site,
    actions: [],
    sent: 0,
    failNext: undefined,
    push: () => emitAll('status', statusOf(mock.site)),
    pushPulls(fresh) {
      mock.site.pulls = [...fresh, ...mock.site.pulls].slice(0, 200);
      emitAll('pull', fresh);
    },
    cut,
    resume: listen,
    close: cut,
  };
  await listen();
  return mock;
}
