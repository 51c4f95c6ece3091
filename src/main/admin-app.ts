// The administration listener, put together from the parts.
import type { Logger } from 'pino';
import { createAdminApp, type App } from '../app.ts';
import type { Config } from '../config/config.ts';
import { parseRepositoryFilter } from '../config/repository-filter.ts';
import type { DirectoryLock } from '../lib/directory-lock.ts';
import { WEBHOOK_PATH } from '../replication/webhook.ts';
import { ReplicationAdministration } from '../status/administration.ts';
import { createCheckReadiness, createQuickReadiness, type Phase } from '../status/health.ts';
import type { Metrics } from '../status/metrics.ts';
import type { PullRecorder } from '../status/pulls/recorder.ts';
import type { RateWatch } from '../status/rate-watch.ts';
import { createSnapshot } from '../status/snapshot.ts';
import { programVersion } from '../status/version.ts';
import type { WebhookWatch } from '../status/webhook-watch.ts';
import { isReplicating, takesEvents, type Content } from './content.ts';
import { createHealthParts } from './health-parts.ts';
import type { Sites } from './sites.ts';
import { createViews, diskFreeBytes } from './views.ts';

/** What the administration listener tells of. */
export interface AdminDeps {
  readonly config: Config;
  readonly sites: Sites;
  readonly content: Content;
  readonly log: Logger;
  readonly directory: DirectoryLock;
  readonly metrics: Metrics;
  readonly pulls: PullRecorder;
  readonly rateWatch: RateWatch;
  readonly webhook: WebhookWatch;
  readonly phase: () => Phase;
  /** The URL that pulls are served at, once it is known. */
  readonly url: () => string | undefined;
}

/** The instance for `GEO_ADMIN_LISTEN`. */
export function createAdmin(deps: AdminDeps): App {
  const { config, sites, content, log, directory, metrics, pulls, rateWatch, webhook, phase, url } = deps;
  const { primary, secondary } = sites;
  const { rows, spool, filler, replication } = content;
  const version = programVersion();
  const isOn = isReplicating(config);
  const gauges = {
    spoolBytes: () => spool.used,
    breakersOpen: () => ({ primary: primary.client.breaker.isOpen, secondary: secondary.client.breaker.isOpen }),
  };
  metrics.watch(gauges);
  const checkReadiness = createCheckReadiness({
    registries: [primary, secondary],
    parts: createHealthParts({ directory, rows, spool, worker: replication.worker, sites }),
    phase,
  });
  const snapshot = createSnapshot(
    {
      version,
      site: config.siteName,
      rows,
      live: {
        startedAt: Date.now(),
        checkReadiness: createQuickReadiness(checkReadiness),
        replication,
        webhook: { on: takesEvents(config), path: WEBHOOK_PATH, calls: () => webhook.calls },
        spool: { max: config.spoolMax, diskFreeBytes: () => diskFreeBytes(config.dataDir) },
        pulls: () => pulls.totals(),
        rate: rateWatch.rate,
        hasClientAuth: config.clientAuth === 'token',
        ...gauges,
      },
    },
    { isOn, removalShare: config.removalLimit },
  );
  const transfers = { list: () => filler.underWay() };
  return createAdminApp(log, {
    site: config.siteName,
    version,
    checkReadiness,
    metrics,
    administration: new ReplicationAdministration({ rows, snapshot, replication, log }, { isOn }),
    views: createViews({ config, primary, secondary, rows, replication, pulls, transfers, url }),
    parseRepositories: parseRepositoryFilter,
    adminToken: config.adminToken,
  });
}
