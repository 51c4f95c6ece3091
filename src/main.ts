// The composition root: from the configuration to two listeners, top to bottom, and an ordered stop.
import type { Logger } from 'pino';
import type { App } from './app.ts';
import type { Config } from './config/config.ts';
import type { SourceRates } from './fill/source.ts';
import type { PartsOptions } from './fill/transfer.ts';
import type { DirectoryLock } from './lib/directory-lock.ts';
import type { LeastRate } from './lib/least-rate.ts';
import { createAdmin, type AdminDeps } from './main/admin-app.ts';
import { isReplicating, openContent, takesEvents, type Content } from './main/content.ts';
import { holdDataDirectory, watchDataDirectory } from './main/data-directory.ts';
import { listenWidely, type Listening } from './main/listen.ts';
import { openLog, type OpenLog } from './main/log.ts';
import { requireOpenFiles } from './main/open-files.ts';
import { createPullApp } from './main/pull-app.ts';
import { connectSites, type Sites } from './main/sites.ts';
import { reportStart } from './main/start-report.ts';
import { checkDelivery } from './proxy/delivery-check.ts';
import type { OnPull } from './proxy/tell.ts';
import type { Phase } from './status/health.ts';
import { createMetrics, type Metrics } from './status/metrics.ts';
import { PullRecorder } from './status/pulls/recorder.ts';
import { createRateWatch } from './status/rate-watch.ts';
import { programVersion } from './status/version.ts';
import { createWebhookWatch } from './status/webhook-watch.ts';

/** A proxy that listens. */
export interface Proxy {
  readonly url: string;
  readonly adminUrl: string;
  /** Lets open transfers finish for `GEO_SHUTDOWN_TIMEOUT` at the most, and stops. */
  close(): Promise<void>;
  /** Reads keys, certificates and certificate authorities again. */
  reload(): void;
}

/** Knobs that no operator needs: times in milliseconds. */
export interface ProxyKnobs {
  readonly readerTimeout?: number;
  readonly linger?: number;
  readonly patience?: number;
  readonly storeAgainAfter?: number;
  readonly parts?: PartsOptions;
  readonly leastRate?: LeastRate;
  readonly rates?: SourceRates;
  readonly logger?: Logger;
}

// How often (ms) a proxy that stops looks for connections that have become idle.
const IDLE_SWEEP = 100;
// How often (ms) the bytes that crossed are put down to the minute in which they did.
const PULL_SAMPLE = 5_000;

/**
 * Starts everything and resolves when both listeners take connections.
 * @throws what listening, the spool, the key files, the limit of open files or the lock of the data directory say; nothing is
 * left running then.
 */
export async function startProxy(config: Config, knobs: ProxyKnobs = {}): Promise<Proxy> {
  requireOpenFiles(config);
  const directory = await holdDataDirectory(config.dataDir);
  const undo: Undo[] = [() => directory.release()];
  try {
    return await assemble(config, knobs, directory, undo);
  } catch (error) {
    for (const end of undo.toReversed()) {
      await Promise.resolve()
        .then(end)
        .catch(() => undefined);
    }
    throw error;
  }
}

/** Ends a part that was started, where the start of a later one fails. */
type Undo = () => unknown;

/** Takes each pull, for the page and for the metrics. */
function recordIn(pulls: PullRecorder, metrics: Metrics): OnPull {
  return (pull, isShared) => {
    pulls.record(pull, isShared);
    metrics.onPull(pull, isShared);
  };
}

/** What counts: the metrics, the pulls that the page shows, and the rate of replication. */
function createMeasures({ siteName }: Config): Pick<AdminDeps, 'metrics' | 'pulls' | 'rateWatch'> {
  const metrics = createMetrics(siteName);
  const pulls = new PullRecorder({ wanBytes: () => metrics.total('primary_body_bytes_total') });
  return { metrics, pulls, rateWatch: createRateWatch({ meter: metrics.meter }) };
}

async function assemble(config: Config, knobs: ProxyKnobs, directory: DirectoryLock, undo: Undo[]): Promise<Proxy> {
  const opened = await openLog(config, knobs.logger);
  const { log } = opened;
  // Those that the system chooses (port 0) are known when they are there.
  const ownPorts = new Set([config.listen.port, config.adminListen.port]);
  const sites = connectSites(config, log, ownPorts);
  undo.push(() => sites.stop());
  const { blobDelivery: delivery, secondaryRoot: root } = config;
  await checkDelivery({ delivery, root, auth: config.secondaryAuth }, sites.secondary, log);

  const { metrics, pulls, rateWatch } = createMeasures(config);
  const { meter } = metrics;
  const content = await openContent({ config, sites, log, meter, rateWatch }, knobs);
  undo.push(() => content.close(() => 0));
  const webhook = await createWebhookWatch({ meter, rows: content.rows, log });
  const app = await createPullApp(
    { config, sites, content, log, meter, webhookMeter: webhook.meter, onPull: recordIn(pulls, metrics) },
    { readerTimeout: knobs.readerTimeout },
  );
  undo.push(() => app.close());
  const unwatch = watchDataDirectory(directory, log);
  const sampling = setInterval(() => pulls.sample(), PULL_SAMPLE).unref();
  const stopWatching = (): void => {
    unwatch();
    clearInterval(sampling);
  };
  undo.push(stopWatching);

  let phase: Phase = 'starting';
  const at: { url?: string } = {};
  const admin = createAdmin({
    config,
    sites,
    content,
    log,
    directory,
    metrics,
    pulls,
    rateWatch,
    webhook,
    phase: () => phase,
    url: () => at.url,
  });
  undo.push(() => admin.close());

  content.filler
    .recover()
    .catch((error: unknown) => log.error({ err: error }, 'cannot take up the spool of an earlier run'));
  const listening = await listenWidely(app.server, (options) => app.listen(options), config.listen);
  undo.push(() => listening.close());
  const { url } = listening;
  at.url = url;
  const adminUrl = await admin.listen(config.adminListen);
  for (const own of [url, adminUrl]) ownPorts.add(Number(new URL(own).port));
  phase = 'serving';
  void reportStart(log, config, sites, {
    version: programVersion(),
    url,
    adminUrl,
    keyId: sites.keyId(),
    isReplicating: isReplicating(config),
    takesEvents: takesEvents(config),
  }).catch((error: unknown) => log.error({ err: error }, 'cannot tell how the registries are'));
  const stopped = async (): Promise<void> => {
    if (phase === 'draining') return;
    phase = 'draining';
    await stop({ opened, app, listening, content, admin, sites }, config.shutdownTimeout);
    stopWatching();
    directory.release();
    log.info({}, 'stopped');
    await opened.close();
  };
  return { url, adminUrl, close: stopped, reload: sites.reload };
}

/** What is stopped, in this order. */
interface Running {
  readonly opened: OpenLog;
  readonly app: App;
  readonly listening: Listening;
  readonly content: Content;
  readonly admin: App;
  readonly sites: Sites;
}

/** Lets open transfers end for `grace` milliseconds; the administration listener says `draining` until nearly the end. */
async function stop({ opened, app, listening, content, admin, sites }: Running, grace: number): Promise<void> {
  opened.log.info({ grace }, 'stopping: open transfers may finish');
  const deadline = Date.now() + grace;
  const cut = setTimeout(() => app.server.closeAllConnections(), grace);
  // A connection whose answer ends only now stays open for the next request, which it must not wait for.
  const sweep = setInterval(() => app.server.closeIdleConnections(), IDLE_SWEEP);
  await Promise.all([app.close(), listening.close()]);
  clearInterval(sweep);
  clearTimeout(cut);
  await content.close(() => Math.max(0, deadline - Date.now()));
  await admin.close();
  await sites.stop();
}
