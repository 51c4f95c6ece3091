// An admin listener over answers that a test makes up, without sockets.
import Fastify, { type FastifyInstance } from 'fastify';
import { onTestFinished } from 'vitest';
import { parseRepositoryFilter } from '../../src/config/repository-filter.ts';
import type { Administration } from '../../src/status/administration.ts';
import type { Views } from '../../src/status/api-routes.ts';
import { UNASKED } from '../../src/status/health.ts';
import { createMetrics } from '../../src/status/metrics.ts';
import { addStatusRoutes } from '../../src/status/routes.ts';
import { SCHEMA_OPTIONS } from '../../src/status/schemas.ts';

export interface FakeListener {
  readonly administration?: Partial<Administration>;
  readonly views?: Partial<Views>;
  /** What all others are rejected with. */
  readonly reason?: Error;
  readonly adminToken?: string;
}

const noTraffic = { window: 'hour', stepMs: 60_000, points: [] } as const;

/** The listener; closed when the test has ended. */
export function startListener({ administration, views, reason, adminToken }: FakeListener = {}): FastifyInstance {
  const fail = (): Promise<never> => Promise.reject(reason ?? new Error('not made up'));
  const app = Fastify({ ajv: { customOptions: SCHEMA_OPTIONS } });
  onTestFinished(() => app.close());
  addStatusRoutes(app, {
    site: 'test',
    version: '0',
    checkReadiness: async () => UNASKED,
    metrics: createMetrics('test'),
    administration: {
      snapshot: fail,
      list: fail,
      listRepositories: fail,
      backfill: fail,
      verify: fail,
      retry: fail,
      confirmRemovals: fail,
      ...administration,
    },
    views: {
      pulls: { recent: () => [], lastPulledAt: () => null, traffic: () => noTraffic, onPull: () => () => undefined },
      transfers: { list: () => [] },
      browse: { repository: fail, groups: fail },
      attention: fail,
      image: fail,
      doctor: fail,
      clearDamaged: fail,
      ...views,
    },
    parseRepositories: parseRepositoryFilter,
    adminToken,
  });
  return app;
}
