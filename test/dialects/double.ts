// A registry in the manner of a product that cannot be had here: before a plain registry that has the content it puts that
// product's tokens, catalog, pages, redirects and words.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Dialect, Words } from './dialects.ts';

export const LOGIN = { user: 'puller', password: 'a password' } as const;
const PAGE = 2;

export interface Double {
  readonly url: URL;
  /** Hosts that credentials are for: the registry's, and that of its token service where it is another. */
  readonly hosts: readonly string[];
  down(): Promise<void>;
  close(): Promise<void>;
}

const BASIC = `Basic ${Buffer.from(`${LOGIN.user}:${LOGIN.password}`).toString('base64')}`;

function refuse(
  response: ServerResponse,
  { status, code, message, type = 'application/json' }: Words,
  headers = {},
): void {
  const body = code === '' ? message : JSON.stringify({ errors: [{ code, message }] });
  response.writeHead(status, { 'content-type': type, ...headers }).end(body);
}

async function listen(server: Server, host: string): Promise<number> {
  await once(server.listen(0, host), 'listening');
  return (server.address() as AddressInfo).port;
}

/** The scope that a request needs, as a challenge names it. */
function scopeOf(path: string): string | undefined {
  if (path === '/v2/') return undefined;
  if (path === '/v2/_catalog') return 'registry:catalog:*';
  const name = /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(path)?.[1];
  return `repository:${name}:pull`;
}

/** The names of a list, by its path: `tags/list` or `_catalog`. */
type Lists = (path: string) => Promise<string[] | undefined>;

/** A double before the registry at `behind`, which asks for no tokens. */
export async function startDouble(dialect: Dialect, behind: string): Promise<Double> {
  const tokens = new Map<string, string>();
  let limited = false;

  const lists: Lists = async (path) => {
    const answer = await fetch(`${behind}${path}?n=1000`);
    if (!answer.ok) return undefined;
    const { tags, repositories } = (await answer.json()) as { tags?: string[]; repositories?: string[] };
    return (tags ?? repositories ?? []).toSorted();
  };

  function giveToken(request: IncomingMessage, response: ServerResponse): void {
    const { searchParams } = new URL(request.url!, 'http://x');
    const scope = searchParams.get('scope') ?? '';
    if (request.headers.authorization !== BASIC || searchParams.get('service') !== dialect.service)
      return refuse(response, { status: 401, code: 'UNAUTHORIZED', message: 'authentication required' });
    const token = randomUUID();
    tokens.set(token, scope);
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ [dialect.tokenField]: token, expires_in: 300 }));
  }

  function isAllowed({ headers: { authorization = '' } }: IncomingMessage, scope: string | undefined): boolean {
    if (dialect.auth === 'basic') return authorization === BASIC;
    const granted = tokens.get(authorization.replace(/^Bearer /, ''));
    return granted !== undefined && (scope === undefined || granted.split(' ').includes(scope));
  }

  async function page(path: string, query: URLSearchParams, response: ServerResponse): Promise<void> {
    const isCatalog = path.endsWith('_catalog');
    if (isCatalog && dialect.catalog !== 'yes') {
      if (dialect.catalog === 'empty') return void response.writeHead(200).end('{"repositories":[]}');
      return refuse(response, dialect.catalog);
    }
    const wanted = Number(query.get('n') ?? PAGE);
    if (dialect.maxPage !== undefined && wanted > dialect.maxPage)
      return refuse(response, { status: 400, code: 'UNSUPPORTED', message: 'Invalid parameter: n' });
    const names = await lists(path);
    if (names === undefined) return refuse(response, dialect.missing.repository);
    const { cursor, link } = dialect.paging;
    const from = cursor === 'none' ? 0 : names.findIndex((name) => name === unwrap(query.get(cursor))) + 1;
    const size = cursor === 'none' ? names.length : Math.min(PAGE, wanted);
    const some = names.slice(from, from + size);
    const next = `${link === 'prefix' ? '/repository/docker' : ''}${path}?n=${size}&${cursor}=${wrap(some.at(-1))}`;
    const target = link === 'absolute' ? `https://registry.example.com${next}` : next;
    const more = from + size < names.length ? { link: `<${target}>; rel="next"` } : {};
    const body = isCatalog
      ? { repositories: some }
      : { name: path.slice(4, -10), tags: some, ...dialect.extraTagFields };
    response.writeHead(200, { 'content-type': 'application/json', ...more }).end(JSON.stringify(body));
  }

  // A cursor that is no name: only the registry itself can read it.
  const isOpaque = !['last', 'none'].includes(dialect.paging.cursor);
  const wrap = (name = ''): string => (isOpaque ? Buffer.from(name).toString('base64url') : encodeURIComponent(name));
  const unwrap = (text: string | null): string | null =>
    text !== null && isOpaque ? Buffer.from(text, 'base64url').toString() : text;

  /** What is stored, from the registry behind. */
  async function content(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const isBlob = path.includes('/blobs/');
    // What is not there is told by the registry, and not by the storage.
    const isStored = async (): Promise<boolean> => (await fetch(`${behind}${path}`, { method: 'HEAD' })).ok;
    if (isBlob && dialect.redirect !== undefined && request.method === 'GET' && (await isStored()))
      return void response.writeHead(dialect.redirect, { location: `${storageUrl}${path}?signature=1` }).end();
    if (path.includes('/referrers/') && !dialect.hasReferrers) return refuse(response, dialect.missing.manifest);
    const headers = {
      accept: request.headers.accept ?? '',
      ...(request.headers.range ? { range: request.headers.range } : {}),
    };
    const answer = await fetch(`${behind}${path}`, { method: request.method!, headers });
    if (!answer.ok && answer.status === 404) {
      await answer.body?.cancel();
      return refuse(response, isBlob ? dialect.missing.blob : dialect.missing.manifest);
    }
    const given = ['content-type', 'content-length', 'docker-content-digest', 'content-range']
      .map((name) => [name, answer.headers.get(name)] as const)
      .filter((entry): entry is [string, string] => entry[1] !== null);
    response.writeHead(answer.status, Object.fromEntries(given)).end(Buffer.from(await answer.arrayBuffer()));
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url!, 'http://x');
    const path = pathname.replace(/^\/repository\/docker\/v2/, '/v2');
    if (path === dialect.tokenPath && !dialect.isTokenElsewhere) return giveToken(request, response);
    const scope = scopeOf(path);
    if (!isAllowed(request, scope)) {
      const realm = dialect.auth === 'basic' ? url.href : `${tokenUrl}${dialect.tokenPath}`;
      const parameters = [`realm="${realm}"`, `service="${dialect.service}"`];
      if (dialect.auth === 'bearer' && scope !== undefined) parameters.push(`scope="${scope}"`);
      const scheme = dialect.auth === 'basic' ? 'Basic' : 'Bearer';
      return refuse(response, dialect.unauthorized, { 'www-authenticate': `${scheme} ${parameters.join(',')}` });
    }
    if (path === '/v2/') return void response.writeHead(200, dialect.baseHeaders).end('{}');
    if (dialect.isLimited && path.includes('/manifests/') && !limited) {
      limited = true;
      return refuse(
        response,
        { status: 429, code: 'TOOMANYREQUESTS', message: 'pull rate limit' },
        { 'retry-after': '1' },
      );
    }
    if (path.endsWith('/tags/list') || path === '/v2/_catalog') return page(path, searchParams, response);
    return content(request, response, path);
  }

  const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));
  const url = new URL(`http://127.0.0.1:${await listen(server, '127.0.0.1')}`);
  // Object storage: signed URLs, for GET, and never with a token beside the signature.
  const storage = createServer((request, response) => {
    const { pathname, search } = new URL(request.url!, 'http://x');
    if (request.headers.authorization !== undefined || request.method !== 'GET' || search !== '?signature=1')
      return void response.writeHead(400, { 'content-type': 'application/xml' }).end('<Error/>');
    const { range } = request.headers;
    void fetch(`${behind}${pathname}`, { headers: range ? { range } : {} }).then(async (answer) => {
      if (answer.status === 404) return response.writeHead(404, { 'content-type': 'application/xml' }).end('<Error/>');
      const given = ['content-length', 'content-range']
        .map((name) => [name, answer.headers.get(name)] as const)
        .filter((entry): entry is [string, string] => entry[1] !== null);
      return response.writeHead(answer.status, Object.fromEntries(given)).end(Buffer.from(await answer.arrayBuffer()));
    });
  });
  const storageUrl = `http://127.0.0.1:${await listen(storage, '127.0.0.1')}`;
  const tokenServer = createServer(giveToken);
  const tokenPort = await listen(tokenServer, '127.0.0.1');
  const tokenUrl = dialect.isTokenElsewhere ? `http://localhost:${tokenPort}` : url.origin;
  const all = [server, storage, tokenServer];
  return {
    url,
    hosts: dialect.isTokenElsewhere ? [url.host, `localhost:${tokenPort}`] : [url.host],
    async down() {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
    async close() {
      await Promise.all(
        all
          .filter(({ listening }) => listening)
          .map((one) => {
            one.closeAllConnections();
            return once(one.close(), 'close');
          }),
      );
    },
  };
}
