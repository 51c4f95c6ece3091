import { afterAll, beforeAll, expect, test } from 'vitest';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { askAdmin, type AdminAsking } from './admin.ts';

const TOKEN = 's3cret-token';
const GUARDED = ['/api/attention', '/metrics', '/api/status', '/api/replication', '/api/replication/retry'];

let open: ProxySite;
let closed: ProxySite;
beforeAll(async () => {
  [open, closed] = await Promise.all([startProxySite(), startProxySite({ env: { GEO_ADMIN_TOKEN: TOKEN } })]);
});
afterAll(() => Promise.all([open.close(), closed.close()]));

const bearer = { authorization: `Bearer ${TOKEN}` };

test.each(GUARDED)('%s asks for the token', async (path) => {
  const refused = await askAdmin(closed, path);
  expect(refused.status).toBe(401);
  expect(refused.headers['www-authenticate']).toEqual([
    'Bearer',
    'Basic realm="geo-registry-proxy test", charset="UTF-8"',
  ]);
  expect((await askAdmin(closed, path, { headers: bearer })).status).toBeLessThan(406);
});

test.each(GUARDED)('without a token %s is not for a page that came here by a name of its own', async (path) => {
  expect((await askAdmin(open, path, { headers: { host: 'rebound.example.com' } })).status).toBe(403);
});

test('events are for the admitted, too', async () => {
  expect((await askAdmin(closed, '/api/events')).status).toBe(401);
});

test('the page itself is open: it holds no data', async () => {
  const { status, headers } = await askAdmin(closed, '/');
  expect({ status, type: headers['content-type'] }).toEqual({ status: 200, type: 'text/html; charset=utf-8' });
});

test.each<Record<string, string>>([{ origin: 'https://evil.example.com' }, { 'sec-fetch-site': 'cross-site' }])(
  'a foreign page orders nothing, with or without the token: %j',
  async (headers) => {
    const asking: AdminAsking = { method: 'POST', headers };
    for (const name of ['backfill', 'verify', 'retry', 'confirm-removals']) {
      expect((await askAdmin(open, `/api/replication/${name}`, asking)).status).toBe(403);
      const withToken = { ...asking, headers: { ...headers, ...bearer } };
      expect((await askAdmin(closed, `/api/replication/${name}`, withToken)).status).toBe(403);
    }
  },
);

test('a refused order is not carried out: its body is not even read', async () => {
  const asking: AdminAsking = { method: 'POST', body: 'no JSON' };
  expect((await askAdmin(closed, '/api/replication/retry', asking)).status).toBe(401);
});

test('health is open, its details are not', async () => {
  closed.relay.rules.push({ answer: { status: 503 } });
  // A good answer of the primary is remembered for a while.
  await closed.restart();
  expect((await askAdmin(closed, '/healthz')).text).toBe('ok\n');
  expect((await askAdmin(closed, '/readyz')).text).toBe('degraded\n');
  const told = (await askAdmin(closed, '/readyz', { headers: bearer })).text;
  expect(told).toMatch(/^degraded\nthe primary registry cannot be reached: answered 503\n$/);
});
