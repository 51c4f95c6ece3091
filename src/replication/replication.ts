// Replication put together: pulls, events and runs mark rows, and the worker claims them.
import { setTimeout as delay } from 'node:timers/promises';
import type { Filler } from '../fill/filler.ts';
import type { Store } from '../fill/store.ts';
import { createRate } from '../lib/rate.ts';
import type { Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import { referenceText, type Reference } from '../oci/reference.ts';
import { Bell } from './bell.ts';
import { BlobLocations } from './blob-locations.ts';
import type { ListedRepositories } from './catalog.ts';
import { Copier } from './copy.ts';
import { Damage, type DamageFilter } from './damage.ts';
import { DamageReports } from './damage-reports.ts';
import { Inspector } from './inspect.ts';
import { Outages, type OutageOptions, type SiteOutage } from './outage.ts';
import { takeOverLeases } from './owner.ts';
import { Queue } from './queue.ts';
import { recheckUnsupported } from './recheck.ts';
import { forgetBackfill, Walks } from './reconcile.ts';
import { Referrers } from './referrers.ts';
import { RemovalPolicy } from './removal-policy.ts';
import { Removals } from './removal.ts';
import { Remover } from './remove.ts';
import { RepositoryWalk } from './repository-walk.ts';
import { PRIORITY } from './row.ts';
import { Schedule } from './schedule.ts';
import type { Site } from './site.ts';
import { notePrimary } from './suspension.ts';
import { RowSync } from './sync.ts';
import { Verification } from './verification.ts';
import { Worker, type WorkerOptions } from './worker.ts';

/** What replication uses of other rooms, beside the site. */
export interface ReplicationParts {
  readonly filler: Filler;
  readonly store: Store;
  /** A manifest's bytes where they are in memory. */
  readonly known: (name: string, digest: Digest) => Manifest | undefined;
  readonly listedRepositories: ListedRepositories;
  /** A digest is never to be served, or no longer to be remembered. */
  readonly onDummy: (digest: Digest) => void;
  readonly onRemoved: (name: string, digest: Digest) => void;
  /** The local copy of a blob is not to be served, or is whole again. */
  readonly onDamaged: (name: string, digest: Digest) => void;
  readonly onHealed: (digest: Digest) => void;
}

/** Times in milliseconds. */
export interface ReplicationOptions {
  /** `off`: only what clients pulled is stored, and nothing is removed: another system replicates. */
  readonly isOn: boolean;
  readonly primaryUrl: string;
  readonly concurrency: number;
  readonly reconcileInterval: number;
  readonly verifyInterval: number;
  /** The share of all tags that may be removed in 24 h. */
  readonly removalShare: number;
  /** Knobs of the worker, and of its pauses. */
  readonly worker?: Pick<WorkerOptions, 'lease' | 'nap'>;
  readonly outages?: OutageOptions;
}

// Bytes a second that verification reads at the most.
const VERIFICATION_RATE = 32 * 1024 * 1024;

/** What is read from the database before the worker starts. */
interface Prepared {
  readonly bell: Bell;
  readonly queue: Queue;
  readonly policy: RemovalPolicy;
  readonly remover: Remover;
  readonly inspector: Inspector;
  readonly damage: Damage;
  readonly owner: string;
}

function sleep(time: number, signal: AbortSignal | undefined): Promise<void> {
  return delay(time, undefined, signal ? { signal, ref: false } : { ref: false });
}

/** Starts the worker, takes up what an earlier run began, and runs in its intervals. @throws StoreUnavailable */
export async function startReplication(
  site: Site,
  parts: ReplicationParts,
  options: ReplicationOptions,
): Promise<Replication> {
  const { secondary, rows, clock } = site;
  await notePrimary(site, options.primaryUrl, () => forgetBackfill(rows));
  const policy = new RemovalPolicy(site, options);
  await policy.mode();
  const remover = new Remover(site, parts.store, parts.onDummy);
  // Before any client is served, whether or not they are removed in this run.
  await remover.takeUp();
  const bell = new Bell();
  const queue = new Queue(site, bell);
  const rate = createRate(VERIFICATION_RATE, { clock: () => performance.now(), sleep });
  const inspector = new Inspector(secondary, rate);
  const damage = new Damage(site, { ...parts, inspector, queue });
  await damage.recall();
  const owner = await takeOverLeases(rows, clock());
  await rows.endLongWaits(clock());
  return new Replication(site, parts, options, { bell, queue, policy, remover, inspector, damage, owner });
}

/** A running replication. */
export class Replication {
  readonly walks: Walks;
  readonly verification: Verification;
  /** Looks at blobs of the secondary. */
  readonly inspector: Inspector;
  readonly worker: Worker;
  readonly #site: Site;
  readonly #queue: Queue;
  readonly #policy: RemovalPolicy;
  readonly #damage: Damage;
  readonly #reports: DamageReports;
  readonly #closing = new AbortController();
  readonly #background: Promise<void> | undefined;

  constructor(site: Site, parts: ReplicationParts, options: ReplicationOptions, prepared: Prepared) {
    const { isOn, concurrency } = options;
    const { bell, queue, policy, remover, inspector, damage, owner } = prepared;
    const outages = new Outages(site, options.outages);
    const referrers = new Referrers(site, queue);
    const repositoryWalk = new RepositoryWalk(site, queue, referrers, outages);
    const { listedRepositories } = parts;
    const walks = new Walks(site, { queue, outages, repositoryWalk, listedRepositories });
    const verification = new Verification(site, { inspector, damage, queue }, options.verifyInterval);
    const { onRemoved } = parts;
    const removals = new Removals(site, { remover, policy, onRemoved, share: options.removalShare });
    const locations = new BlobLocations(site, parts.store);
    const copier = new Copier(site, { ...parts, locations, damage });
    const onOutage = (outage: SiteOutage): void => this.#pause(outage);
    const sync = new RowSync(site, { copier, removals, referrers, repositoryWalk, outages, isOn, onOutage });

    this.#site = site;
    this.#queue = queue;
    this.#policy = policy;
    this.#damage = damage;
    this.#reports = new DamageReports(site, { damage, inspector, verification, isOn });
    this.walks = walks;
    this.verification = verification;
    this.inspector = inspector;
    this.worker = new Worker(
      site,
      { sync: (row) => sync.sync(row), onFinished: (row) => removals.finished(row), owner, bell },
      { concurrency, ...options.worker },
    );
    const { signal } = this.#closing;
    const interval = options.reconcileInterval;
    const schedule = new Schedule(site, { queue, remover, walks, policy, verification, interval, signal });
    this.#background = isOn ? schedule.run() : undefined;
  }

  /** Stores what a client pulled, with all that it points at. */
  enqueue({ name, reference }: { readonly name: string; readonly reference: Reference }): void {
    const mark = { repository: name, reference: referenceText(reference), priority: PRIORITY.onDemand };
    this.#queue.mark([mark]).catch((error: unknown) => {
      this.#site.log.error({ ...mark, reason: (error as Error).message }, 'not queued for storing');
    });
  }

  /** Rows were marked: the worker looks for them. */
  nudge(): void {
    this.worker.nudge();
  }

  /** A pull found a local blob short or wrong; the pull need not wait for what is made of it. */
  reportDamage(name: string, digest: Digest): void {
    this.#reports.reportDamage(name, digest);
  }

  /** A pull read a local blob, and found it whole. */
  reportWhole(name: string, digest: Digest): void {
    this.#reports.reportWhole(name, digest);
  }

  /** Forgets damage of blobs, and makes the failed rows of their repositories due; answers how much was forgotten. */
  clearDamaged(filter: DamageFilter): Promise<number> {
    return this.#damage.clear(filter);
  }

  /** Makes what the secondary does not take due again if that may have changed. */
  recheck(): Promise<number> {
    return recheckUnsupported(this.#site, this.#queue);
  }

  /** Whether removals wait, since this is a first start, or the primary is another than before. */
  get areRemovalsSuspended(): boolean {
    return this.#policy.isSuspended;
  }

  /** Confirms the removals that wait; answers how many. @throws NotCompared */
  async confirmRemovals(): Promise<number> {
    const count = await this.#policy.confirm();
    this.#queue.wake();
    return count;
  }

  /** Ends all work, within `grace` milliseconds; the next start takes up the rest. */
  async close(grace: number): Promise<void> {
    this.#closing.abort();
    const limit = new AbortController();
    const timeUp = delay(grace, undefined, { signal: limit.signal }).catch(() => undefined);
    const ended = [this.walks.stop(), this.#reports.stop(), this.verification.stop(), this.#background];
    await Promise.race([Promise.all(ended), timeUp]);
    limit.abort();
    await this.worker.close(grace);
  }

  #pause({ reason, pause }: SiteOutage): void {
    if (this.worker.pausedUntil === undefined) this.#site.log.warn({ reason, pause }, 'replication pauses');
    this.worker.pause(pause, reason);
  }
}
