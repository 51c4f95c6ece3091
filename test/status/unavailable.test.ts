// What the admin listener says where the database, or something else, fails.
import { expect, test } from 'vitest';
import { StoreUnavailable } from '../../src/replication/rows.ts';
import { startListener } from './listener.ts';

test.each([
  ['GET', '/api/status'],
  ['GET', '/api/replication'],
  ['GET', '/api/attention'],
  ['GET', '/api/groups'],
  ['POST', '/api/replication/retry'],
  ['POST', '/api/replication/clear-damaged'],
] as const)('%s %s says that the database cannot be used now', async (method, url) => {
  const listener = startListener({ reason: new StoreUnavailable('disk full') });
  const { statusCode, body } = await listener.inject({ method, url });
  expect(statusCode).toBe(503);
  expect(JSON.parse(body)).toEqual({
    error: 'the database cannot be used now (disk full): see to the disk of GEO_DATA_DIR',
  });
});

test('the metrics tell what they know without the database', async () => {
  const { statusCode, body } = await startListener().inject('/metrics');
  expect(statusCode).toBe(200);
  expect(body).toContain('geo_registry_pulls_total');
  expect(body).not.toContain('geo_registry_replication_tags');
});

test('/readyz tells what it knows without the database', async () => {
  const { statusCode, body } = await startListener().inject('/readyz');
  expect({ statusCode, body }).toEqual({ statusCode: 200, body: 'ok\n' });
});

test('another failure tells nothing of itself', async () => {
  const { statusCode, body } = await startListener({ reason: new Error('at /secret/path') }).inject('/api/status');
  expect(statusCode).toBe(500);
  expect(JSON.parse(body)).toEqual({ error: 'this failed; the log says why' });
});
