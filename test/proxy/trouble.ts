// Ways in which a registry does not answer, as rules of the relay before it.
import type { RelayMatch } from '../support/relay.ts';
import type { RelayRule } from '../support/relay-rule.ts';

/** The body of an OCI error. */
export function ociError(code: string): string {
  return JSON.stringify({ errors: [{ code, message: 'says the relay' }] });
}

/** A rule that answers with an OCI error. */
export function answering(
  status: number,
  code: string,
  more: { headers?: Record<string, string>; match?: RelayMatch } = {},
): RelayRule {
  const headers = { 'content-type': 'application/json', ...more.headers };
  return { answer: { status, headers, body: ociError(code) }, ...(more.match && { match: more.match }) };
}

/** Everything but `/v2/` itself. */
export const notPing: RelayMatch = ({ path }) => path !== '/v2/';

/**
 * What keeps a primary from answering, with the reason that the answer's `Warning` gives. Retry-After is short:
 * replication, which may meet a rule too, waits as long.
 */
export const troubles: readonly (readonly [what: string, rule: RelayRule | 'down', kind: string])[] = [
  ['is not reachable', 'down', 'unavailable'],
  ['does not answer in time', { hang: true }, 'unavailable'],
  ['answers 500', answering(500, 'UNKNOWN'), 'unavailable'],
  ['answers 502', { answer: { status: 502, body: '<html>' } }, 'unavailable'],
  ['answers 503', answering(503, 'UNAVAILABLE'), 'unavailable'],
  ['answers 504', { answer: { status: 504 } }, 'unavailable'],
  ['answers 429', answering(429, 'TOOMANYREQUESTS', { headers: { 'retry-after': '1' } }), 'busy'],
  ['answers 418', { answer: { status: 418, body: 'a teapot' } }, 'unavailable'],
  [
    'shows a portal’s page',
    { answer: { status: 200, headers: { 'content-type': 'text/html' }, body: '<p>Log in' } },
    'unavailable',
  ],
  ['does not take GET', { match: notPing, answer: { status: 405 } }, 'unsupported'],
  ['refuses this repository', answering(403, 'DENIED', { match: notPing }), 'refused'],
  ['does not accept our key', answering(401, 'UNAUTHORIZED'), 'locked-out'],
  [
    'is a maintenance page',
    { answer: { status: 404, headers: { 'content-type': 'text/html' }, body: '<h1>Back soon' } },
    'unavailable',
  ],
];

/** The status of an answer where nothing local can stand in. */
export function statusOf(kind: string): number {
  return { busy: 429, refused: 403 }[kind] ?? 503;
}
