import { afterAll, beforeAll, expect, test } from 'vitest';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { askAdmin } from './admin.ts';

let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite();
});
afterAll(() => site.close());

test.each([
  ['/api/replication?state=borken', 'GET', undefined],
  ['/api/replication?limit=many', 'GET', undefined],
  ['/api/replication/retry?repository=UPPER', 'POST', undefined],
  ['/api/replication/retry', 'POST', 'repository=group'],
  ['/api/replication/confirm-removals', 'POST', '{"repositry":"group/one"}'],
] as const)('bad input is refused with one line of JSON: %s', async (path, method, body) => {
  const asking = body === undefined ? { method } : { method, body };
  const { status, json, text } = await askAdmin(site, path, asking);
  expect(status).toBe(400);
  expect(Object.keys(json as object)).toEqual(['error']);
  expect(text).not.toContain('\n');
});

test('whatever a body is called, it is read as JSON', async () => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const asking = { method: 'POST', headers } as const;
  const { status, json } = await askAdmin(site, '/api/replication/retry', {
    ...asking,
    body: '{"repository":"group/one"}',
  });
  expect({ status, json }).toEqual({
    status: 404,
    json: { error: 'no repository group/one is known here: check its name, or let a backfill find it' },
  });
});

test('a body beyond measure is refused', async () => {
  const body = JSON.stringify({ repository: 'x'.repeat(100_000) });
  const { status, json } = await askAdmin(site, '/api/replication/retry', { method: 'POST', body });
  expect({ status, json }).toEqual({ status: 413, json: { error: 'Request body is too large' } });
});

test.each(['backfill', 'verify', 'retry', 'confirm-removals'])('%s is no question', async (name) => {
  const { status, headers, json } = await askAdmin(site, `/api/replication/${name}`);
  expect(status).toBe(405);
  expect(headers['allow']).toBe('POST');
  expect(json).toEqual({ error: `/api/replication/${name}: ask with POST` });
});
