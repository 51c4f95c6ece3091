// Who may ask the admin listener: by token, or from this machine; and never a web page behind a person's back.
import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { IncomingHttpHeaders } from 'node:http';

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
export type Guard = (request: Asking) => Refusal | undefined;

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

/** A guard; without a token the listener is on loopback only, and `Host` must be an address or localhost. */
export function createGuard(adminToken: string | undefined, realm: string): Guard {
  const refuseToken: Refusal = {
    status: 401,
    error: 'give the value of GEO_ADMIN_TOKEN as Authorization: Bearer; in a browser as the password',
    headers: { 'www-authenticate': ['Bearer', `Basic realm="${realm}", charset="UTF-8"`] },
  };
  return (request) => {
    if (isLedHere(request.headers)) {
      return { status: 403, error: 'Via: a registry pull proxy asks; a redirect led it here', headers: {} };
    }
    if (adminToken === undefined && !isOurHost(request.headers.host)) {
      return { status: 403, error: 'Host: ask by address or localhost, or set GEO_ADMIN_TOKEN', headers: {} };
    }
    if (adminToken !== undefined && !tokensOf(request).some((given) => isSame(given, adminToken))) return refuseToken;
    if (!ANSWERS_NOTHING.has(request.method) && isForeign(request)) {
      return { status: 403, error: 'Origin: a page of another site asks; use the command line or curl', headers: {} };
    }
    return undefined;
  };
}
