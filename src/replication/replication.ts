// Replication put together: wishes and walks mark rows, the worker claims them, and what it needs is kept in one place.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Filler } from '../fill/filler.ts';
import type { Store } from '../fill/store.ts';
import type { Log } from '../lib/log.ts';
import type { Meter } from '../lib/meter.ts';
import type { Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import { referenceText, type Reference } from '../oci/reference.ts';
import type { Registry } from '../registry/registry.ts';
import { createCopy } from './copy.ts';
import { createWalks, type Walks } from './reconcile.ts';
import { createRemover } from './remove.ts';
import { PRIORITY, type RowStore } from './rows.ts';
import { createSync } from './sync.ts';
import { createWorker, type Worker } from './worker.ts';

/** What replication is made of. */
export interface ReplicationDeps {
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly filler: Filler;
  readonly store: Store;
  readonly rows: RowStore;
  readonly known: (name: string, digest: Digest) => Manifest | undefined;
  readonly isStored: (name: string) => boolean;
  readonly listedRepositories: () => Promise<readonly string[] | undefined>;
  /** A digest is never to be served, or no longer to be remembered. */
  readonly onDummy: (digest: Digest) => void;
  readonly onRemoved: (name: string, digest: Digest) => void;
  readonly log: Log;
  readonly meter: Meter;
}

/** Times in milliseconds. */
export interface ReplicationOptions {
  /** `off`: only what clients pulled is stored, and nothing is removed: another system replicates. */
  readonly isOn: boolean;
  readonly primaryUrl: string;
  readonly concurrency: number;
  readonly reconcileInterval: number;
  /** The share of all tags that may be removed in 24 h. */
  readonly removalShare: number;
}

/** A running replication. */
export interface Replication {
  /** Stores what a client pulled, with all that it points at. */
  enqueue(wish: { readonly name: string; readonly reference: Reference }): void;
  /** Rows were marked: the worker looks for them. */
  nudge(): void;
  readonly walks: Walks;
  readonly worker: Worker;
  /** Why removals wait for a person, if they do. */
  readonly areRemovalsSuspended: boolean;
  /** Confirms the removals that wait; answers how many. */
  confirmRemovals(): Promise<number>;
  close(grace: number): Promise<void>;
}

const PRIMARY = 'primary.url';
const SUSPENDED = 'removals.suspended';
const BACKFILLED = 'backfill.done';
const READ_ONLY_PAUSE = 30_000;

/** Starts the worker, takes up what an earlier run began, and walks in its interval. @throws StoreUnavailable */
export async function startReplication(deps: ReplicationDeps, options: ReplicationOptions): Promise<Replication> {
  const { primary, secondary, filler, store, rows, known, isStored, log, meter } = deps;
  const { isOn, primaryUrl, concurrency, reconcileInterval, removalShare } = options;
  let isSuspended = await notePrimary(rows, primaryUrl, log);

  const remover = createRemover({ secondary, store, rows, onDummy: deps.onDummy });
  const walks = createWalks({
    primary,
    secondary,
    rows,
    listedRepositories: deps.listedRepositories,
    isReplicated: isStored,
    onMarked: () => worker.nudge(),
    log,
  });
  const sync = createSync(
    {
      primary,
      secondary,
      rows,
      remover,
      copy: createCopy({ primary, secondary, filler, store, known }),
      markRepository: walks.markRepository,
      isReplicated: isStored,
      removals: () => (isOn ? (isSuspended ? 'suspended' : 'on') : 'off'),
      onReadOnly: () => {
        log.warn({ pause: READ_ONLY_PAUSE }, 'the secondary takes no writes; replication pauses');
        worker.pause(READ_ONLY_PAUSE);
      },
      onRemoved: deps.onRemoved,
    },
    { removalShare, readOnlyPause: READ_ONLY_PAUSE },
  );
  const owner = `${hostname()}/${process.pid}/${randomUUID()}`;
  const worker: Worker = createWorker({ rows, sync, log, meter, owner }, { concurrency });

  async function walk(): Promise<void> {
    const isFirst = (await rows.getFact(BACKFILLED)) !== true;
    const done = await (isFirst ? walks.backfill() : walks.reconcile());
    if (done.error === undefined && isFirst) await rows.setFact(BACKFILLED, true);
  }
  const walking = async (): Promise<void> => {
    await walk().catch((error: unknown) => log.error({ reason: (error as Error).message }, 'walk failed'));
  };

  if (isOn) {
    remover.recover().catch((error: unknown) => {
      log.warn({ reason: (error as Error).message }, 'a removal that was begun is not finished yet');
    });
    void walking();
  }
  const timer = isOn ? setInterval(() => void walking(), reconcileInterval).unref() : undefined;

  return {
    enqueue({ name, reference }) {
      const mark = { repository: name, reference: referenceText(reference), priority: PRIORITY.onDemand };
      rows.mark([mark], Date.now()).then(worker.nudge, (error: unknown) => {
        log.error({ ...mark, reason: (error as Error).message }, 'not queued for storing');
      });
    },
    nudge: worker.nudge,
    walks,
    worker,
    get areRemovalsSuspended() {
      return isSuspended;
    },
    async confirmRemovals() {
      await rows.setFact(SUSPENDED, false);
      isSuspended = false;
      const count = await rows.confirmRemovals({ isHeld: true }, Date.now());
      worker.nudge();
      return count;
    },
    async close(grace) {
      clearInterval(timer);
      walks.stop();
      await worker.close(grace);
    },
  };
}

/** Another primary makes every row unknown, and removals wait until a person has looked. */
async function notePrimary(rows: RowStore, url: string, log: Log): Promise<boolean> {
  const before = await rows.getFact(PRIMARY);
  if (before !== undefined && before !== url) {
    const count = await rows.markAllUnknown(Date.now());
    await rows.setFact(SUSPENDED, true);
    log.warn({ before, now: url, rows: count }, 'the primary is another: removals wait for confirm-removals');
  }
  await rows.setFact(PRIMARY, url);
  return (await rows.getFact(SUSPENDED)) === true;
}
