// The page's files as `npm run build` leaves them: read once, and answered from memory.
import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { readPage, type PageFiles } from './page-files.ts';

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

function siteFile(files: PageFiles, name: string): SiteFile {
  const plain = files.get(name)!;
  const bodies = new Map<string, Buffer>([['', plain]]);
  for (const [encoding, ending] of ENCODINGS) {
    const compressed = files.get(`${name}.${ending}`);
    if (compressed) bodies.set(encoding, compressed);
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
export function addSiteFiles(app: FastifyInstance, files: PageFiles | undefined = readPage()): void {
  if (!files) {
    app.get('/', (_request, reply) => reply.code(503).type(TYPES['txt']!).headers(HEADERS).send(NOT_BUILT));
    return;
  }
  const names = [...files.keys()].filter((name) => TYPES[name.split('.').at(-1)!] !== undefined);
  for (const name of names) {
    const file = siteFile(files, name);
    const url = name === 'index.html' ? '/' : `/${name}`;
    app.get(url, (request, reply) => send(file, request, reply));
  }
}
