// Headers that no client may get, put by a relay on what a registry answers, and the proof that none has passed.
import { expect } from 'vitest';
import type { Answer } from '../support/proxy.ts';
import type { RelayRule } from '../support/relay-rule.ts';
import type { Relay } from '../support/relay.ts';

const odd = {
  'accept-ranges': 'none',
  'access-control-allow-origin': '*',
  age: '10000',
  'alt-svc': 'h3=":443"',
  'cache-control': 'public, max-age=31536000',
  'clear-site-data': '"*"',
  connection: 'keep-alive, x-odd',
  'content-disposition': 'attachment; filename=evil.exe',
  'content-encoding': 'gzip',
  'content-location': '/etc/passwd',
  'content-security-policy': 'none',
  etag: '"another"',
  expires: 'Thu, 01 Jan 2099 00:00:00 GMT',
  'keep-alive': 'timeout=99999',
  'last-modified': 'Thu, 01 Jan 1970 00:00:00 GMT',
  location: 'https://evil.example.com/',
  'oci-subject': `sha256:${'0'.repeat(64)}`,
  'proxy-authenticate': 'Basic',
  refresh: '0; url=https://evil.example.com/',
  server: 'evil',
  'set-cookie': 'session=evil',
  'strict-transport-security': 'max-age=31536000',
  vary: '*',
  via: '1.1 evil',
  warning: '199 - "evil"',
  'x-accel-buffering': 'no',
  'x-accel-charset': 'x',
  'x-accel-expires': '31536000',
  'x-accel-limit-rate': '1',
  'x-accel-redirect': '/etc/passwd',
  'x-lighttpd-send-file': '/etc/passwd',
  'x-odd': 'odd',
  'x-sendfile': '/etc/passwd',
};

/** Every header that an answer of ours may have. */
const ours = new Set(
  `content-type content-length content-range accept-ranges etag cache-control link warning allow location
  docker-content-digest docker-distribution-api-version www-authenticate retry-after oci-filters-applied
  x-content-type-options date connection keep-alive transfer-encoding`.split(/\s+/),
);

/** Lets a relay put odd headers on the answers that a rule is for, all of them without one. */
export function addOdd(relay: Relay, rule: RelayRule = {}): RelayRule {
  const { answer } = rule;
  const added = {
    ...rule,
    setHeaders: odd,
    ...(answer && { answer: { ...answer, headers: { ...odd, ...answer.headers } } }),
  };
  relay.rules.push(added);
  return added;
}

/** Expects that of a registry's odd headers none is left, and that what stands under the same names is ours. */
export function expectOurs({ status, headers }: Pick<Answer, 'status' | 'headers'>): void {
  expect(Object.keys(headers).filter((name) => !ours.has(name))).toEqual([]);
  for (const name of ['connection', 'keep-alive', 'etag', 'warning', 'location', 'cache-control', 'accept-ranges']) {
    expect(headers[name]).not.toBe(odd[name as keyof typeof odd]);
  }
  // undici asks for an end of the connection after each HEAD.
  expect(headers['connection']).toMatch(/^(?:keep-alive|close)$/);
  expect(headers['docker-distribution-api-version']).toBe('registry/2.0');
  expect(headers['cache-control']).toBe(status < 400 ? 'private' : undefined);
}
