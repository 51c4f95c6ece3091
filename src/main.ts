// The composition root: from the configuration to two listeners, top to bottom, and an ordered stop.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { createAdminApp, createApp } from './app.ts';
import type { Config } from './config/config.ts';
import { matchesRepository } from './config/glob.ts';
import { parseRepositoryFilter } from './config/repository-filter.ts';
import { Filler } from './fill/filler.ts';
import type { SourceRates } from './fill/source.ts';
import { Spool } from './fill/spool.ts';
import { createStore } from './fill/store.ts';
import type { PartsOptions } from './fill/transfer.ts';
import type { DirectoryLock } from './lib/directory-lock.ts';
import type { LeastRate } from './lib/least-rate.ts';
import { createLogSink } from './lib/logger.ts';
import { holdDataDirectory, watchDataDirectory } from './main/data-directory.ts';
import { createHealthParts } from './main/health-parts.ts';
import { createLink } from './main/link.ts';
import { listenWidely, type Listening } from './main/listen.ts';
import { requireOpenFiles } from './main/open-files.ts';
import { connectSites, SECONDARY_TIMEOUT } from './main/sites.ts';
import { reportStart } from './main/start-report.ts';
import { createViews, diskFreeBytes } from './main/views.ts';
import { checkDelivery, createGoesByFiles } from './proxy/delivery-check.ts';
import type { ProxyDeps } from './proxy/deps.ts';
import { isDigest } from './oci/digest.ts';
import { createMemory } from './proxy/memory.ts';
import { createStorage } from './proxy/storage.ts';
import { TagLookup, type HeadTag } from './proxy/tag-lookup.ts';
import { BUSY_HERE } from './registry/answer.ts';
import { viaOf } from './registry/client.ts';
import { noteUploads } from './replication/blob-locations.ts';
import { startReplication } from './replication/replication.ts';
import type { Site } from './replication/site.ts';
import { WEBHOOK_PATH, type WebhookDeps } from './replication/webhook.ts';
import { createSqliteStore } from './replication/store/sqlite.ts';
import { parseRepositories } from './replication/walk.ts';
import { ReplicationAdministration } from './status/administration.ts';
import { createCheckReadiness, createQuickReadiness, type Phase } from './status/health.ts';
import { createMetrics } from './status/metrics.ts';
import { PullRecorder } from './status/pulls/recorder.ts';
import { createRateWatch } from './status/rate-watch.ts';
import { createSnapshot, type Live } from './status/snapshot.ts';
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

// How long (ms) a client may take no byte before it is dropped.
const READER_TIMEOUT = 60_000;
// How often (ms) a proxy that stops looks for connections that have become idle.
const IDLE_SWEEP = 100;
// How often (ms) the bytes that crossed are put down to the minute in which they did.
const PULL_SAMPLE = 5_000;

/** How lines look at a terminal; undefined elsewhere: JSON. */
async function lineFormat(): Promise<((line: string) => string) | undefined> {
  if (!process.stdout.isTTY) return undefined;
  // Only here: it takes 12 MiB.
  const { terminalFormat } = await import('./main/terminal-line.ts');
  return terminalFormat({ isColoured: !process.env['NO_COLOR'] });
}

/** The names of `GEO_REPOSITORIES_FILE`, read anew for each walk. */
async function listedRepositories(file: string | undefined): Promise<readonly string[] | undefined> {
  return file === undefined ? undefined : parseRepositories(await readFile(file, 'utf8'));
}

/**
 * Starts everything and resolves when both listeners take connections.
 * @throws what listening, the spool, the key files, the limit of open files or the lock of the data directory say; nothing is
 * left running then.
 */
export async function startProxy(config: Config, knobs: ProxyKnobs = {}): Promise<Proxy> {
  requireOpenFiles(config);
  const directory = await holdDataDirectory(config.dataDir);
  try {
    return await assemble(config, knobs, directory);
  } catch (error) {
    directory.release();
    throw error;
  }
}

async function assemble(config: Config, knobs: ProxyKnobs, directory: DirectoryLock): Promise<Proxy> {
  const sink = knobs.logger ? undefined : createLogSink(config.logLevel, config.siteName, await lineFormat());
  const log = knobs.logger ?? sink!.logger;
  for (const warning of config.warnings) log.warn(warning);
  const metrics = createMetrics(config.siteName);
  const { meter } = metrics;
  const pulls = new PullRecorder({ wanBytes: () => metrics.total('primary_body_bytes_total') });
  const rateWatch = createRateWatch({ meter });
  let phase: Phase = 'starting';

  // Those that the system chooses (port 0) are known when they are there.
  const ownPorts = new Set([config.listen.port, config.adminListen.port]);
  const sites = connectSites(config, log, ownPorts);
  const { primary, secondary } = sites;
  const link = createLink(config);

  const { blobDelivery: delivery, secondaryRoot: root } = config;
  try {
    await checkDelivery({ delivery, root, auth: config.secondaryAuth }, secondary, log);
  } catch (error) {
    await sites.stop();
    throw error;
  }
  const storage = root === undefined ? undefined : createStorage(root, createGoesByFiles(secondary.ping));

  const { replicationInclude: include, replicationExclude: exclude } = config;
  const isStored = (name: string): boolean =>
    config.store && (include.length === 0 || matchesRepository(include, name)) && !matchesRepository(exclude, name);

  const spool = new Spool(join(config.dataDir, 'spool'), config.spoolMax);
  const store = createStore(secondary);
  const memory = createMemory(config.memoryCache);
  const rows = await createSqliteStore({ file: join(config.dataDir, 'state.db'), log });
  const filler = new Filler(
    {
      primary,
      store: noteUploads(store, rows),
      spool,
      slots: link.slots,
      lookups: link.places.lookups,
      budget: link.budget,
      sizeOf: memory.sizeOf,
      log,
      meter,
      isStored,
    },
    { ...knobs, timeout: config.primaryTimeout, blobMax: config.blobMax },
  );
  const isOn = config.replication && config.store;
  const site: Site = {
    primary,
    secondary,
    rows,
    log,
    meter: rateWatch.meter,
    clock: Date.now,
    isReplicated: isStored,
  };
  const replication = await startReplication(
    site,
    {
      filler,
      store,
      known: (name, digest) => memory.manifest(name, digest)?.manifest,
      listedRepositories: () => listedRepositories(config.repositoriesFile),
      onDummy: memory.hide,
      onRemoved: memory.forget,
      onDamaged: (_name, digest) => memory.markDamaged(digest),
      onHealed: memory.clearDamaged,
    },
    {
      isOn,
      primaryUrl: config.primaryUrl.href,
      concurrency: config.replicationConcurrency,
      reconcileInterval: config.reconcileInterval,
      verifyInterval: config.verifyInterval,
      removalShare: config.removalLimit,
    },
  );
  const webhook = await createWebhookWatch({ meter, rows, log });
  const gauges = {
    spoolBytes: () => spool.used,
    breakersOpen: () => ({ primary: primary.client.breaker.isOpen, secondary: secondary.client.breaker.isOpen }),
  };
  metrics.watch(gauges);

  const headTag: HeadTag = (name, tag, known, claim) =>
    link.places.lookups.run(
      claim,
      (signal) => primary.manifests.head(name, { tag }, config.primaryTimeout, known, signal),
      BUSY_HERE,
    );
  const tags = new TagLookup(headTag, { ttl: config.tagTtl });
  /** What an event speaks of is not believed any longer; a rename moves what lies below, too. */
  const forgetNamed: WebhookDeps['onNamed'] = ({ named, renames }) => {
    if (renames.length > 0) tags.forgetAll();
    for (const { repository, reference, isPush } of named) {
      tags.forget(repository, reference);
      // Gone from the primary: from here on the local registry says whether it is still there.
      if (!isPush && isDigest(reference)) memory.forget(repository, reference);
    }
  };
  const proxy: ProxyDeps = {
    primary,
    secondary,
    storage,
    filler,
    gate: sites.gate,
    memory,
    tags,
    places: link.places,
    meter,
    enqueue: (wish) => replication.enqueue(wish),
    isStored,
    suspicion: {
      suspect: (name, digest) => replication.reportDamage(name, digest),
      clear: (name, digest) => replication.reportWhole(name, digest),
    },
  };
  const app = await createApp({
    logger: log,
    proxy,
    proxyOptions: {
      pushHost: config.pushHost,
      delivery,
      redirect: config.secondaryRedirect,
      via: viaOf(config.siteName),
      primaryTimeout: config.primaryTimeout,
      secondaryTimeout: SECONDARY_TIMEOUT,
      readerTimeout: knobs.readerTimeout ?? READER_TIMEOUT,
    },
    secondary: { origin: config.secondaryUrl.origin, dispatcher: sites.localSockets },
    trustedProxies: config.trustedProxies,
    onPull(pull, isShared) {
      pulls.record(pull, isShared);
      metrics.onPull(pull, isShared);
    },
    // Where another system replicates, events are its business.
    webhook:
      config.eventsToken && config.replication
        ? {
            rows,
            tokens: config.eventsToken,
            isReplicated: isStored,
            onNamed: forgetNamed,
            onMarked: () => replication.nudge(),
            meter: webhook.meter,
          }
        : undefined,
  });
  const unwatch = watchDataDirectory(directory, log);
  const sampling = setInterval(() => pulls.sample(), PULL_SAMPLE).unref();
  const { worker } = replication;
  const checkReadiness = createCheckReadiness({
    registries: [primary, secondary],
    parts: createHealthParts({ directory, rows, spool, worker, sites }),
    phase: () => phase,
  });
  const live: Live = {
    startedAt: Date.now(),
    checkReadiness: createQuickReadiness(checkReadiness),
    replication,
    webhook: {
      on: config.eventsToken !== undefined && config.replication,
      path: WEBHOOK_PATH,
      calls: () => webhook.calls,
    },
    spool: { max: config.spoolMax, diskFreeBytes: () => diskFreeBytes(config.dataDir) },
    pulls: () => pulls.totals(),
    rate: rateWatch.rate,
    hasClientAuth: config.clientAuth === 'token',
    ...gauges,
  };
  const snapshot = createSnapshot(
    { version: programVersion(), site: config.siteName, rows, live },
    { isOn, removalShare: config.removalLimit },
  );
  let sockets: Listening | undefined;
  const views = createViews({
    config,
    primary,
    secondary,
    rows,
    replication,
    pulls,
    transfers: { list: () => filler.underWay() },
    url: () => sockets?.url,
  });
  const admin = createAdminApp(log, {
    site: config.siteName,
    version: programVersion(),
    checkReadiness,
    metrics,
    administration: new ReplicationAdministration({ rows, snapshot, replication, log }, { isOn }),
    views,
    parseRepositories: parseRepositoryFilter,
    adminToken: config.adminToken,
  });

  async function close(): Promise<void> {
    if (phase === 'draining') return;
    phase = 'draining';
    log.info({ grace: config.shutdownTimeout }, 'stopping: open transfers may finish');
    const deadline = Date.now() + config.shutdownTimeout;
    const left = (): number => Math.max(0, deadline - Date.now());
    const cut = setTimeout(() => app.server.closeAllConnections(), config.shutdownTimeout);
    // A connection whose answer ends only now stays open for the next request, which it must not wait for.
    const sweep = setInterval(() => app.server.closeIdleConnections(), IDLE_SWEEP);
    await Promise.all([app.close(), sockets?.close()]);
    clearInterval(sweep);
    clearTimeout(cut);
    await replication.close(left());
    await filler.close(left());
    await rows.close();
    await admin.close();
    await sites.stop();
    unwatch();
    clearInterval(sampling);
    directory.release();
    log.info({}, 'stopped');
    await sink?.close();
  }

  try {
    filler.recover().catch((error: unknown) => log.error({ err: error }, 'cannot take up the spool of an earlier run'));
    sockets = await listenWidely(app.server, (options) => app.listen(options), config.listen);
    const { url } = sockets;
    const adminUrl = await admin.listen(config.adminListen);
    for (const own of [url, adminUrl]) ownPorts.add(Number(new URL(own).port));
    phase = 'serving';
    void reportStart(log, config, sites, {
      version: programVersion(),
      url,
      adminUrl,
      keyId: sites.keyId(),
      isReplicating: isOn,
      takesEvents: config.eventsToken !== undefined && config.replication,
    });
    return { url, adminUrl, close, reload: sites.reload };
  } catch (error) {
    unwatch();
    clearInterval(sampling);
    await Promise.allSettled([
      app.close(),
      sockets?.close(),
      admin.close(),
      replication.close(0).then(rows.close),
      sites.stop(),
    ]);
    throw error;
  }
}
