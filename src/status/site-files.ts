// The page's files as `npm run build` leaves them: read once, and answered from memory.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** What the browser may do with the page: nothing of other origins, no inline script. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  txt: 'text/plain; charset=utf-8',
};

const HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

// The order of preference, by the ending of the file that holds the encoding.
const ENCODINGS = [
  ['br', 'br'],
  ['gzip', 'gz'],
] as const;

const NOT_BUILT = 'the status page is not built: npm run build\n';

// From src/status and from dist/status.
const FOLDERS = ['../../dist/web/', '../web/'].map((path) => new URL(path, import.meta.url));

interface SiteFile {
  readonly type: string;
  readonly cacheControl: string;
  readonly etag: string;
  /** Bodies by content encoding; '' as it is. */
  readonly bodies: ReadonlyMap<string, Buffer>;
}

/** Whether an `Accept-Encoding` names an encoding and does not refuse it (RFC 9110 section 12.5.3). */
function accepts(header: string, encoding: string): boolean {
  return header.split(',').some((part) => {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase());
    return name === encoding && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
  });
}

function readSiteFile(folder: URL, name: string, names: readonly string[]): SiteFile {
  const plain = readFileSync(new URL(name, folder));
  const bodies = new Map<string, Buffer>([['', plain]]);
  for (const [encoding, ending] of ENCODINGS) {
    const compressed = `${name}.${ending}`;
    if (names.includes(compressed)) bodies.set(encoding, readFileSync(new URL(compressed, folder)));
  }
  const hash = createHash('sha256').update(plain).digest('base64url').slice(0, 22);
  return {
    type: TYPES[name.split('.').at(-1)!]!,
    // The names of these carry their hash.
    cacheControl: name.startsWith('app-') ? 'public, max-age=31536000, immutable' : 'no-cache',
    etag: hash,
    bodies,
  };
}

function readSiteFiles(folder: URL): ReadonlyMap<string, SiteFile> {
  const names = readdirSync(folder);
  const plain = names.filter((name) => TYPES[name.split('.').at(-1)!] !== undefined);
  return new Map(plain.map((name) => [name, readSiteFile(folder, name, names)]));
}

function send(file: SiteFile, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const accepted = request.headers['accept-encoding'] ?? '';
  const encoding = ENCODINGS.map(([name]) => name).find((name) => file.bodies.has(name) && accepts(accepted, name));
  const etag = `"${file.etag}${encoding === undefined ? '' : `-${encoding}`}"`;
  reply.headers({ ...HEADERS, 'cache-control': file.cacheControl, etag, vary: 'Accept-Encoding' });
  const known = (request.headers['if-none-match'] ?? '').split(',').map((text) => text.trim().replace(/^W\//, ''));
  if (known.some((one) => one === etag || one === '*')) return reply.code(304).send();
  if (encoding !== undefined) reply.header('content-encoding', encoding);
  return reply.type(file.type).send(file.bodies.get(encoding ?? ''));
}

/** Adds the page's files, which are open: they hold no data. Where they are not built `/` says so with 503. */
export function addSiteFiles(app: FastifyInstance, folders: readonly URL[] = FOLDERS): void {
  const folder = folders.find((one) => existsSync(new URL('index.html', one)));
  if (!folder) {
    app.get('/', (_request, reply) => reply.code(503).type(TYPES['txt']!).headers(HEADERS).send(NOT_BUILT));
    return;
  }
  for (const [name, file] of readSiteFiles(folder)) {
    const url = name === 'index.html' ? '/' : `/${name}`;
    app.get(url, (request, reply) => send(file, request, reply));
  }
}
