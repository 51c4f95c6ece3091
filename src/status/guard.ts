// Who may ask the admin listener: by token or session, or from this machine; never a web page of another origin.
import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { IncomingHttpHeaders } from 'node:http';
import type { Sessions } from './sessions.ts';

/** Why a request is refused: its status, what to say, and headers. */
export interface Refusal {
  readonly status: 401 | 403;
  readonly error: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
}

/** The parts of a request that decide. */
export interface Asking {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

/** Tells why a request is refused; undefined for one that is admitted. */
export type Check = (request: Asking) => Refusal | undefined;

/** Who may ask. */
export interface Guard {
  /** For what shows or changes something: token or session, host and origin. */
  readonly check: Check;
  /** For what is open to all: host and origin alone. */
  readonly checkOrigin: Check;
  /** Whether a text is the token; true where none is set. */
  isToken(text: string): boolean;
  /** Whether the request is admitted by its session, not by a token that it carries. */
  hasSession(request: Asking): boolean;
}

const ANSWERS_NOTHING = new Set(['GET', 'HEAD']);

function isSame(given: string, expected: string): boolean {
  const [first, second] = [given, expected].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(first!, second!);
}

/** What is given as Bearer, or as the password of Basic, which a browser asks its user for. */
function tokensOf({ method, headers }: Asking): string[] {
  const [, scheme = '', value = ''] = /^(bearer|basic) +(\S+) *$/i.exec(headers.authorization ?? '') ?? [];
  if (scheme.toLowerCase() === 'bearer') return [value];
  // Browsers send Basic by themselves from then on: it opens what only shows, never what changes something.
  if (scheme === '' || !ANSWERS_NOTHING.has(method)) return [];
  return [
    Buffer.from(value, 'base64')
      .toString()
      .replace(/^[^:]*:/, ''),
  ];
}

/** A name that leads a browser here by somebody else's DNS is none of ours: only addresses and localhost are. */
function isOurHost(host: string | undefined): boolean {
  const name = (host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return name.toLowerCase() === 'localhost' || isIP(name) !== 0;
}

/** Whether a web page of another origin lets a browser ask. */
function isForeign({ headers }: Asking): boolean {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true;
  // `null` is the origin of sandboxed pages, of anybody.
  return origin !== undefined && URL.parse(origin)?.host !== host?.toLowerCase();
}

/** A request that a registry's redirect made a proxy such as this one send: it never asks an admin listener by itself. */
function isLedHere({ via }: IncomingHttpHeaders): boolean {
  return /\bgeo-registry-proxy-/i.test(via ?? '');
}

/**
 * A browser asks its user for a password when a challenge names Basic. The page asks for the token itself, so that what
 * scripts of a page ask (`Sec-Fetch-Mode` other than `navigate`) gets no such challenge.
 */
function challengesFor({ headers }: Asking, realm: string): string[] {
  const mode = headers['sec-fetch-mode'];
  const asksUser = mode === undefined || mode === 'navigate';
  return ['Bearer', ...(asksUser ? [`Basic realm="${realm}", charset="UTF-8"`] : [])];
}

/** What a guard needs; without a token the listener is on loopback only, and `Host` must be an address or localhost. */
export interface GuardDeps {
  readonly adminToken: string | undefined;
  /** The realm of the challenge. */
  readonly realm: string;
  readonly sessions: Pick<Sessions, 'isOpen'>;
}

function checkForeign(request: Asking): Refusal | undefined {
  if (ANSWERS_NOTHING.has(request.method) || !isForeign(request)) return undefined;
  return { status: 403, error: 'Origin: a page of another site asks; use the command line or curl', headers: {} };
}

/** @see Guard */
export function createGuard({ adminToken, realm, sessions }: GuardDeps): Guard {
  const isToken = (text: string): boolean => adminToken === undefined || isSame(text, adminToken);
  const hasSession = ({ headers }: Asking): boolean => adminToken !== undefined && sessions.isOpen(headers);

  function checkHost({ headers }: Asking): Refusal | undefined {
    if (isLedHere(headers)) {
      return { status: 403, error: 'Via: a registry pull proxy asks; a redirect led it here', headers: {} };
    }
    if (adminToken === undefined && !isOurHost(headers.host)) {
      return { status: 403, error: 'Host: ask by address or localhost, or set GEO_ADMIN_TOKEN', headers: {} };
    }
    return undefined;
  }

  function checkToken(request: Asking): Refusal | undefined {
    if (adminToken === undefined || tokensOf(request).some(isToken) || hasSession(request)) return undefined;
    return {
      status: 401,
      error: 'give the value of GEO_ADMIN_TOKEN as Authorization: Bearer; in a browser log in at /',
      headers: { 'www-authenticate': challengesFor(request, realm) },
    };
  }

  return {
    check: (request) => checkHost(request) ?? checkToken(request) ?? checkForeign(request),
    checkOrigin: (request) => checkHost(request) ?? checkForeign(request),
    isToken,
    hasSession,
  };
}
