import { expect, test } from 'vitest';
import { createGuard, type Asking } from '../../src/status/guard.ts';

const TOKEN = 's3cret-token';
const HERE = '127.0.0.1:5081';

const open = createGuard(undefined, 'site');
const closed = createGuard(TOKEN, 'site');

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
