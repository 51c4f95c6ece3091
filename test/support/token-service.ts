// A token service in GitLab's form: users, projects and `GET /jwt/auth`.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { matchesGlob } from 'node:path';
import type { SiteKeys } from './keys.ts';
import { signToken, type Access, type TokenFor, type TokenIssuer } from './token.ts';
import { freePort } from './tool.ts';

export interface TokenServiceOptions {
  readonly keys: SiteKeys;
  readonly issuer?: string;
  readonly service?: string;
  /** Tokens carry the key's certificate in the place of a key id. */
  readonly x5c?: boolean;
  /** Passwords by user name. */
  readonly users?: Readonly<Record<string, string>>;
  /** By user name: the actions that the user has on the repositories of a glob (`*` within a segment, `**` across). */
  readonly projects?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  /** Globs of repositories that everyone may pull. */
  readonly publicProjects?: readonly string[];
  readonly port?: number;
  /** What the registries' challenges send clients to, where TLS is ended before it. */
  readonly realm?: string;
}

export interface TokenRequest {
  readonly account: string | undefined;
  readonly scopes: readonly string[];
  readonly status: number;
}

export interface TokenService extends TokenIssuer {
  readonly url: string;
  /** What the registries' challenges send clients to. */
  readonly realm: string;
  readonly requests: TokenRequest[];
  readonly tokenFor: TokenFor;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const refusal = (status: number, code: string, message: string): Answer => ({
  status,
  body: { errors: [{ code, message }] },
});

/** `Basic` credentials of a request; undefined for an anonymous one. */
function credentials(request: IncomingMessage): { user: string; password: string } | undefined {
  const [scheme, value] = (request.headers.authorization ?? '').split(' ');
  if (scheme?.toLowerCase() !== 'basic' || value === undefined) return undefined;
  const text = Buffer.from(value, 'base64').toString();
  const colon = text.indexOf(':');
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function parseScope(scope: string): Access {
  const [first, last] = [scope.indexOf(':'), scope.lastIndexOf(':')];
  return { type: scope.slice(0, first), name: scope.slice(first + 1, last), actions: scope.slice(last + 1).split(',') };
}

function allowedActions(options: TokenServiceOptions, user: string | undefined, name: string): Set<string> {
  const own = Object.entries(options.projects?.[user ?? ''] ?? {});
  const granted = own.filter(([glob]) => matchesGlob(name, glob)).flatMap(([, actions]) => actions);
  const open = (options.publicProjects ?? []).some((glob) => matchesGlob(name, glob));
  return new Set(open ? [...granted, 'pull'] : granted);
}

function grant(options: TokenServiceOptions, user: string | undefined, scopes: readonly string[]): Access[] {
  const asked = scopes.map(parseScope).filter(({ type }) => type === 'repository');
  const granted = asked.map((access) => {
    const allowed = allowedActions(options, user, access.name);
    return { ...access, actions: access.actions.filter((action) => allowed.has(action)) };
  });
  return granted.filter(({ actions }) => actions.length > 0);
}

function answer(options: TokenServiceOptions, site: TokenIssuer, request: IncomingMessage, scopes: string[]): Answer {
  const login = credentials(request);
  if (login !== undefined && options.users?.[login.user] !== login.password) {
    return refusal(401, 'UNAUTHORIZED', 'HTTP Basic: Access denied');
  }
  if (login === undefined && scopes.length === 0) return refusal(403, 'DENIED', 'access forbidden');
  const claims = login === undefined ? {} : { sub: login.user };
  const token = signToken(site, grant(options, login?.user, scopes), { claims });
  return { status: 200, body: { token, expires_in: 300, issued_at: new Date().toISOString() } };
}

function respond(response: ServerResponse, { status, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Starts the service; it grants what is both asked and allowed, in the token form of Distribution's specification. */
export async function startTokenService(options: TokenServiceOptions): Promise<TokenService> {
  const { issuer = 'omnibus-gitlab-issuer', service = 'container_registry' } = options;
  const certPem = options.x5c ? options.keys.certPem : undefined;
  const site = { key: options.keys.privateKey, issuer, service, certPem };
  const requests: TokenRequest[] = [];
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', url);
    // A POST is containerd's first try, in the form of OAuth; GitLab's 404 is what makes it ask by GET.
    const isAsking = request.method === 'GET' && pathname === '/jwt/auth';
    if (!isAsking) return respond(response, refusal(404, 'UNSUPPORTED', 'no such page'));
    const scopes = searchParams.getAll('scope').flatMap((scope) => scope.split(' ').filter(Boolean));
    const result = answer(options, site, request, scopes);
    requests.push({ account: credentials(request)?.user, scopes, status: result.status });
    return respond(response, result);
  });
  await once(server.listen(port, '127.0.0.1'), 'listening');
  return {
    ...site,
    url,
    realm: options.realm ?? `${url}/jwt/auth`,
    requests,
    tokenFor: (access, overrides) => signToken(site, access, overrides),
    async close() {
      server.closeAllConnections();
      if (server.listening) await once(server.close(), 'close');
    },
  };
}
