// What brings and keeps content: fills, the rows and replication, and the memories that pulls share with them.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { matchesRepository } from '../config/glob.ts';
import { Filler } from '../fill/filler.ts';
import type { FillerOptions } from '../fill/context.ts';
import { Spool } from '../fill/spool.ts';
import { createStore, type Store } from '../fill/store.ts';
import type { Meter } from '../lib/meter.ts';
import { createMemory, type Memory } from '../proxy/memory.ts';
import { TagLookup } from '../proxy/tag-lookup.ts';
import { BUSY_HERE } from '../registry/answer.ts';
import { noteUploads } from '../replication/blob-locations.ts';
import { startReplication, type Replication } from '../replication/replication.ts';
import { createSqliteStore, type SqliteStore } from '../replication/store/sqlite.ts';
import { parseRepositories } from '../replication/walk.ts';
import type { RateWatch } from '../status/rate-watch.ts';
import { createLink, type Link } from './link.ts';
import type { Sites } from './sites.ts';

/** What {@link openContent} needs; `rateWatch` counts for the rate that the page shows. */
export interface ContentDeps {
  readonly config: Config;
  readonly sites: Sites;
  readonly log: Logger;
  readonly meter: Meter;
  readonly rateWatch: RateWatch;
}

/** Whether replication works by itself, and not only on what clients pulled. */
export const isReplicating = ({ replication, store }: Pick<Config, 'replication' | 'store'>): boolean =>
  replication && store;

/** Whether notifications are taken: where another system replicates, they are its business. */
export const takesEvents = ({ eventsToken, replication }: Pick<Config, 'eventsToken' | 'replication'>): boolean =>
  eventsToken !== undefined && replication;

/** Whether a repository's content is stored in the secondary, by its name. */
function storedBy({ store, replicationInclude, replicationExclude }: Config): (name: string) => boolean {
  const isIncluded = (name: string): boolean =>
    replicationInclude.length === 0 || matchesRepository(replicationInclude, name);
  return (name) => store && isIncluded(name) && !matchesRepository(replicationExclude, name);
}

/** Everything that holds content, or asks for it. */
export interface Content {
  readonly link: Link;
  readonly isStored: (name: string) => boolean;
  readonly spool: Spool;
  readonly memory: Memory;
  readonly tags: TagLookup;
  readonly rows: SqliteStore;
  readonly filler: Filler;
  readonly replication: Replication;
  /** Ends transfers and replication within the milliseconds that `left` gives at each step, then closes the database. */
  close(left: () => number): Promise<void>;
}

function startOn(
  { config, sites, log, rateWatch }: ContentDeps,
  store: Store,
  { memory, rows, filler, isStored }: Pick<Content, 'memory' | 'rows' | 'filler' | 'isStored'>,
): Promise<Replication> {
  const { primary, secondary } = sites;
  const { repositoriesFile } = config;
  return startReplication(
    { primary, secondary, rows, log, meter: rateWatch.meter, clock: Date.now, isReplicated: isStored },
    {
      filler,
      store,
      known: (name, digest) => memory.manifest(name, digest)?.manifest,
      // Read anew for each walk.
      listedRepositories: async () =>
        repositoriesFile === undefined ? undefined : parseRepositories(await readFile(repositoriesFile, 'utf8')),
      onDummy: memory.hide,
      onRemoved: memory.forget,
      onDamaged: (_name, digest) => memory.markDamaged(digest),
      onHealed: memory.clearDamaged,
    },
    {
      isOn: isReplicating(config),
      primaryUrl: config.primaryUrl.href,
      concurrency: config.replicationConcurrency,
      reconcileInterval: config.reconcileInterval,
      verifyInterval: config.verifyInterval,
      removalShare: config.removalLimit,
    },
  );
}

/** Opens the database and starts replication; `knobs` are for fills. @throws what the database says; it is closed then. */
export async function openContent(deps: ContentDeps, knobs: Partial<FillerOptions>): Promise<Content> {
  const { config, sites, log, meter } = deps;
  const { primary, secondary } = sites;
  const link = createLink(config);
  const { lookups } = link.places;
  const isStored = storedBy(config);
  const spool = new Spool(join(config.dataDir, 'spool'), config.spoolMax);
  const memory = createMemory(config.memoryCache);
  const tags = new TagLookup(
    (name, tag, known, claim) =>
      lookups.run(
        claim,
        (signal) => primary.manifests.head(name, { tag }, config.primaryTimeout, known, signal),
        BUSY_HERE,
      ),
    { ttl: config.tagTtl },
  );
  const store = createStore(secondary);
  const rows = await createSqliteStore({ file: join(config.dataDir, 'state.db'), log });
  const filler = new Filler(
    {
      primary,
      store: noteUploads(store, rows),
      spool,
      slots: link.slots,
      lookups,
      budget: link.budget,
      sizeOf: memory.sizeOf,
      log,
      meter,
      isStored,
    },
    { ...knobs, timeout: config.primaryTimeout, blobMax: config.blobMax },
  );
  const replication = await startOn(deps, store, { memory, rows, filler, isStored }).catch(async (error: unknown) => {
    await rows.close();
    throw error;
  });
  return {
    link,
    isStored,
    spool,
    memory,
    tags,
    rows,
    filler,
    replication,
    async close(left) {
      await replication.close(left());
      await filler.close(left());
      await rows.close();
    },
  };
}
