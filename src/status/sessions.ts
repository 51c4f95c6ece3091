// Sessions of the page: a person logs in with the admin token, and the browser keeps a value that stands for it.
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { createLru } from '../lib/lru.ts';

/** The sessions that are open; those used least recently end where there are too many. */
export interface Sessions {
  /** Opens one; the value of `Set-Cookie`. */
  open(headers: IncomingHttpHeaders): string;
  /** Whether the request carries the cookie of an open session. */
  isOpen(headers: IncomingHttpHeaders): boolean;
  /** Ends the request's session; the value of `Set-Cookie` that removes the cookie. */
  close(headers: IncomingHttpHeaders): string;
}

const COOKIE = 'geo_registry_session';
// How long (ms) a session lasts.
const LASTS = 12 * 3_600_000;

function hashOf(value: string): string {
  return createHash('sha256').update(value).digest('hex');
}

/** The hashes of the values that the cookie is sent with: one, unless somebody else has set another. */
function hashesOf({ cookie = '' }: IncomingHttpHeaders): string[] {
  return cookie
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part.startsWith(`${COOKIE}=`))
    .slice(0, 4)
    .map((part) => hashOf(part.slice(COOKIE.length + 1)));
}

/** Whether the browser came by https: a proxy before us says so, or the page's own origin does. */
function isSecure({ origin, 'x-forwarded-proto': protocol }: IncomingHttpHeaders): boolean {
  return origin?.startsWith('https:') === true || protocol === 'https';
}

function cookieOf(value: string, seconds: number, headers: IncomingHttpHeaders): string {
  const secure = isSecure(headers) ? '; Secure' : '';
  return `${COOKIE}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`;
}

/** Sessions in memory: they end with the process. */
export function createSessions(): Sessions {
  // By the hash of its value: to find one takes no time that tells anything of the value.
  const sessions = createLru<string, true>('adminSessions', { ttl: LASTS });
  return {
    open(headers) {
      const value = randomBytes(32).toString('base64url');
      sessions.set(hashOf(value), true);
      return cookieOf(value, LASTS / 1_000, headers);
    },
    isOpen: (headers) => hashesOf(headers).some((hash) => sessions.get(hash) === true),
    close(headers) {
      for (const hash of hashesOf(headers)) sessions.delete(hash);
      return cookieOf('', 0, headers);
    },
  };
}
