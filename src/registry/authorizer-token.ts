// Requests a token from a token service: Docker's GET with Basic, or OAuth 2 with a refresh token.
import { request, type Dispatcher } from 'undici';
import { collect, limitsFor } from './body.ts';

/** Credentials for a registry or its token service; an `identity` token is a refresh token (OAuth 2). */
export type Credentials =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'identity'; readonly token: string }
  | { readonly kind: 'registry'; readonly token: string };

/** A request for a token, anonymous without credentials. */
export interface TokenRequest {
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly credentials: Exclude<Credentials, { kind: 'registry' }> | undefined;
}

/** A token, and its lifetime in ms from now. */
interface ReceivedToken {
  readonly token: string;
  readonly lifetime: number;
}

const CLIENT_ID = 'geo-registry-proxy';
const ANSWER_MAX = 256 * 1024;
// The default of Distribution's spec/auth/token.md, in seconds.
const LIFETIME = 60;
// A token service's refusals of credentials; 400 is OAuth 2's `invalid_grant`.
const REFUSED = new Set([400, 401, 403]);

type Call = Pick<Dispatcher.RequestOptions, 'method' | 'headers' | 'body'> & { readonly url: URL };

/** The value of an Authorization header for a user and password (RFC 7617). */
export function basicHeader({ username, password }: Extract<Credentials, { kind: 'basic' }>): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** Distribution spec/auth/token.md. */
function getCall({ realm, service, scopes, credentials }: TokenRequest): Call {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  if (credentials?.kind !== 'basic') return { method: 'GET', url };
  url.searchParams.set('account', credentials.username);
  return { method: 'GET', url, headers: { authorization: basicHeader(credentials) } };
}

/** Distribution spec/auth/oauth.md. */
function postCall({ realm, service, scopes }: TokenRequest, refreshToken: string): Call {
  const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: CLIENT_ID, refresh_token: refreshToken });
  if (service !== undefined) form.set('service', service);
  if (scopes.length > 0) form.set('scope', scopes.join(' '));
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  return { method: 'POST', url: realm, headers, body: form.toString() };
}

function received(text: string): ReceivedToken {
  let answer: Record<string, unknown> = {};
  try {
    answer = Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    // Not as the cause: it would quote the answer.
  }
  const token = answer['token'] ?? answer['access_token'];
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) throw new Error('its answer holds no token');
  const seconds = answer['expires_in'];
  return { token, lifetime: 1_000 * (typeof seconds === 'number' && seconds > 0 ? seconds : LIFETIME) };
}

/**
 * Requests a token; undefined when the service refuses the credentials. Redirects are not followed.
 * @throws {Error} without secrets when the service cannot be asked or does not answer with a token.
 */
export async function requestToken(
  deps: { readonly dispatcher: Dispatcher; readonly timeout: number },
  wanted: TokenRequest,
): Promise<ReceivedToken | undefined> {
  const { credentials, realm } = wanted;
  const { url, ...call } = credentials?.kind === 'identity' ? postCall(wanted, credentials.token) : getCall(wanted);
  try {
    const signal = AbortSignal.timeout(deps.timeout);
    const { statusCode, body } = await request(url, { ...call, dispatcher: deps.dispatcher, signal });
    if (statusCode === 200) {
      const { bytes, failure } = await collect(body, limitsFor(deps.timeout, ANSWER_MAX));
      if (failure) throw failure;
      return received(bytes.toString());
    }
    await body.dump();
    if (REFUSED.has(statusCode)) return undefined;
    throw new Error(`it answered ${statusCode}`);
  } catch (cause) {
    const { code, message } = cause as { code?: unknown; message: string };
    throw new Error(`token service ${realm.host}: ${typeof code === 'string' ? code : message}`, { cause });
  }
}
