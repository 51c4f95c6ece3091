import Fastify, { type FastifyInstance } from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import { parseRepositoryFilter } from '../../src/config/repository-filter.ts';
import { StoreUnavailable } from '../../src/replication/rows.ts';
import type { Administration } from '../../src/status/administration.ts';
import { createMetrics } from '../../src/status/metrics.ts';
import { createPullRecorder } from '../../src/status/pulls/recorder.ts';
import { addStatusRoutes } from '../../src/status/routes.ts';

/** An admin listener where whatever asks the database fails so. */
function failing(reason: Error): FastifyInstance {
  const fail = (): Promise<never> => Promise.reject(reason);
  const administration: Administration = {
    snapshot: fail,
    list: fail,
    listRepositories: fail,
    backfill: fail,
    verify: fail,
    retry: fail,
    confirmRemovals: fail,
  };
  const app = Fastify();
  onTestFinished(() => app.close());
  addStatusRoutes(app, {
    site: 'test',
    checkReadiness: async () => ({ ready: true, status: 'ok', reasons: [] }),
    metrics: createMetrics('test'),
    administration,
    rows: { damagedBlobs: fail, malformed: fail },
    parseRepositories: parseRepositoryFilter,
    pulls: createPullRecorder({ wanBytes: () => 0 }),
    transfers: { list: () => [] },
  });
  return app;
}

test.each([
  ['GET', '/'],
  ['GET', '/api/status'],
  ['GET', '/api/replication'],
  ['POST', '/api/replication/retry'],
] as const)('%s %s says that the database cannot be used now', async (method, url) => {
  const { statusCode, body } = await failing(new StoreUnavailable('disk full')).inject({ method, url });
  expect(statusCode).toBe(503);
  expect(JSON.parse(body)).toEqual({
    error: 'the database cannot be used now (disk full): see to the disk of GEO_DATA_DIR',
  });
});

test('the metrics tell what they know without the database', async () => {
  const { statusCode, body } = await failing(new StoreUnavailable('disk full')).inject('/metrics');
  expect(statusCode).toBe(200);
  expect(body).toContain('geo_registry_pulls_total');
  expect(body).not.toContain('geo_registry_replication_tags');
});

test('another failure tells nothing of itself', async () => {
  const { statusCode, body } = await failing(new Error('at /secret/path')).inject('/api/status');
  expect(statusCode).toBe(500);
  expect(JSON.parse(body)).toEqual({ error: 'this failed; the log says why' });
});
