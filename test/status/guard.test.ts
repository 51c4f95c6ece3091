import { expect, test } from 'vitest';
import { createGuard, type Asking } from '../../src/status/guard.ts';
import { createSessions } from '../../src/status/sessions.ts';

const TOKEN = 's3cret-token';
const HERE = '127.0.0.1:5081';

const sessions = createSessions();
const { check: open } = createGuard({ adminToken: undefined, realm: 'site', sessions });
const { check: closed, isToken, hasSession } = createGuard({ adminToken: TOKEN, realm: 'site', sessions });

function asking(headers: Asking['headers'], method = 'GET'): Asking {
  return { method, headers: { host: HERE, ...headers } };
}

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

test.each([HERE, 'localhost', 'LOCALHOST:5081', '[::1]:5081', '[::1]', '10.1.2.3'])(
  'without a token %s is ours',
  (host) => {
    expect(open({ method: 'GET', headers: { host } })).toBeUndefined();
  },
);

test.each(['evil.example.com', 'localhost.evil.example.com:5081', '127.0.0.1.evil.example.com', '', undefined])(
  'without a token the host %s is refused: a name may lead anybody here',
  (host) => {
    expect(open({ method: 'GET', headers: { host } })).toMatchObject({ status: 403, error: /^Host: / });
  },
);

test.each([`Bearer ${TOKEN}`, `bearer  ${TOKEN} `, basic(`:${TOKEN}`), basic(`admin:${TOKEN}`)])(
  'the token opens: %s',
  (authorization) => {
    expect(closed(asking({ authorization }))).toBeUndefined();
  },
);

test('with a token any host is fine', () => {
  const headers = { host: 'proxy.example.com', authorization: `Bearer ${TOKEN}` };
  expect(closed({ method: 'GET', headers })).toBeUndefined();
});

test.each([
  undefined,
  '',
  'Bearer',
  `Bearer ${TOKEN}x`,
  `Bearer ${TOKEN.slice(1)}`,
  `Bearer ${TOKEN} x`,
  TOKEN,
  basic(TOKEN + 'x'),
  basic(`${TOKEN}:`),
  basic(`:${TOKEN}:`),
  `Basic :${TOKEN}`,
])('everything else is refused, and told how to come in: %s', (authorization) => {
  const refusal = closed(asking({ authorization }));
  expect(refusal?.status).toBe(401);
  expect(refusal?.headers['www-authenticate']).toEqual(['Bearer', 'Basic realm="site", charset="UTF-8"']);
  expect(refusal?.error).toMatch(/GEO_ADMIN_TOKEN/);
  expect(JSON.stringify(refusal)).not.toContain(TOKEN);
});

test('Basic, which browsers send by themselves, changes nothing', () => {
  expect(closed(asking({ authorization: basic(`:${TOKEN}`) }, 'POST'))?.status).toBe(401);
  expect(closed(asking({ authorization: `Bearer ${TOKEN}` }, 'POST'))).toBeUndefined();
});

test.each([
  { origin: 'https://evil.example.com' },
  { origin: 'null' },
  { origin: 'http://127.0.0.1:5082' },
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site' },
  { origin: `http://${HERE}`, 'sec-fetch-site': 'cross-site' },
])('a page of another origin orders nothing: %j', (headers) => {
  expect(open(asking(headers, 'POST'))).toMatchObject({ status: 403, error: /^Origin: / });
  const authorization = `Bearer ${TOKEN}`;
  expect(closed(asking({ ...headers, authorization }, 'POST'))).toMatchObject({ status: 403 });
});

test.each([
  {},
  { origin: `http://${HERE}` },
  { origin: `http://${HERE}`, 'sec-fetch-site': 'same-origin' },
  { 'sec-fetch-site': 'none' },
])('a page of our own and no page at all may order: %j', (headers) => {
  expect(open(asking(headers, 'POST'))).toBeUndefined();
});

test.each(['1.1 geo-registry-proxy-here', '1.1 nginx, 1.1 Geo-Registry-Proxy-there'])(
  'what a redirect made a proxy send is refused, whatever else it carries: %s',
  (via) => {
    expect(open(asking({ via }))).toMatchObject({ status: 403, error: /^Via: / });
    expect(closed(asking({ via, authorization: `Bearer ${TOKEN}` }))).toMatchObject({ status: 403 });
    expect(open(asking({ via: '1.1 nginx' }))).toBeUndefined();
  },
);

/** The cookie of a `Set-Cookie`, as a browser sends it. */
const cookieOf = (header: string): string => header.replace(/;.*/, '');

test('a session opens what the token opens, until it is closed', () => {
  const cookie = cookieOf(sessions.open({}));
  expect(cookie).not.toContain(TOKEN);
  expect(closed(asking({ cookie }))).toBeUndefined();
  expect(closed(asking({ cookie: `theme=dark; ${cookie}` }, 'POST'))).toBeUndefined();
  expect(hasSession(asking({ cookie }))).toBe(true);
  sessions.close({ cookie });
  expect(closed(asking({ cookie }))?.status).toBe(401);
});

test.each(['', 'x', TOKEN, 'a'.repeat(43)])('another value of the cookie opens nothing: %j', (value) => {
  expect(closed(asking({ cookie: `geo_registry_session=${value}` }))?.status).toBe(401);
});

test('a session is no leave for a page of another origin', () => {
  const cookie = cookieOf(sessions.open({}));
  const refusal = closed(asking({ cookie, origin: 'https://evil.example.com' }, 'POST'));
  expect(refusal).toMatchObject({ status: 403, error: /^Origin: / });
});

test('the cookie is for this host alone, out of the reach of scripts, and for https where that is spoken', () => {
  expect(sessions.open({})).toMatch(
    /^geo_registry_session=[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
  );
  expect(sessions.open({ origin: 'https://proxy.example.com' })).toMatch(/; Secure$/);
  expect(sessions.open({ 'x-forwarded-proto': 'https' })).toMatch(/; Secure$/);
});

test('sessions are bounded: those used least recently end', () => {
  const first = cookieOf(sessions.open({}));
  for (let count = 0; count < 6_000; count += 1) sessions.open({});
  expect(closed(asking({ cookie: first }))?.status).toBe(401);
});

test('only the token is the token', () => {
  expect([TOKEN, '', `${TOKEN}x`].map(isToken)).toEqual([true, false, false]);
});

test('what a script of a page asks makes no browser ask its user for a password', () => {
  expect(closed(asking({ 'sec-fetch-mode': 'cors' }))?.headers['www-authenticate']).toEqual(['Bearer']);
  expect(closed(asking({ 'sec-fetch-mode': 'navigate' }))?.headers['www-authenticate']).toHaveLength(2);
});
