// Replication put together: wishes and walks mark rows, the worker claims them, and what it needs is kept in one place.
import { setTimeout as delay } from 'node:timers/promises';
import type { Filler } from '../fill/filler.ts';
import type { Store } from '../fill/store.ts';
import type { Log } from '../lib/log.ts';
import type { Meter } from '../lib/meter.ts';
import type { Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import { referenceText, type Reference } from '../oci/reference.ts';
import type { Registry } from '../registry/registry.ts';
import { createCopy } from './copy.ts';
import { takeOverLeases } from './owner.ts';
import { clearDamaged, type DamageFilter } from './damage.ts';
import { createPlaces } from './places.ts';
import { BACKFILLED, createWalks, forgetBackfill, type Walks } from './reconcile.ts';
import { createRecheck, type Recheck } from './recheck.ts';
import { createMarkReferrers, createMarkReferrerTags } from './referrers.ts';
import { createRemovals } from './removal.ts';
import { createRemover } from './remove.ts';
import { repeat } from './repeat.ts';
import { PRIORITY, type RowStore } from './rows.ts';
import type { Inspector } from './inspect.ts';
import { createFindSurplus } from './surplus.ts';
import { confirmRemovals, endFirstStart, noteCompared, notePrimary, suspensionOf } from './suspension.ts';
import { createSuspicion, type Suspicion } from './suspicion.ts';
import { createSync } from './sync.ts';
import { createFindTrouble, type Trouble, type TroubleOptions } from './trouble.ts';
import { createVerification, type Verification } from './verification.ts';
import { createWorker, type Worker, type WorkerOptions } from './worker.ts';

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
  /** The local copy of a blob is not to be served, or is whole again. */
  readonly onDamaged: (name: string, digest: Digest) => void;
  readonly onHealed: (digest: Digest) => void;
  readonly log: Log;
  readonly meter: Meter;
  /** Milliseconds since the epoch. */
  readonly clock?: () => number;
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
  readonly trouble?: Pick<TroubleOptions, 'outagePause' | 'readOnlyPause'>;
}

/** A running replication. */
export interface Replication {
  /** Stores what a client pulled, with all that it points at. */
  enqueue(wish: { readonly name: string; readonly reference: Reference }): void;
  /** Rows were marked: the worker looks for them. */
  nudge(): void;
  readonly walks: Walks;
  /** Verifies what is in the secondary. */
  readonly verification: Pick<Verification, 'run' | 'progress'>;
  /** Makes what the secondary does not take due again if that may have changed. */
  readonly recheck: Recheck;
  /** Looks at blobs of the secondary. */
  readonly inspector: Inspector;
  /** Removes the marks of damage of these blobs, whose rows are due again; answers how many. */
  clearDamaged(filter: DamageFilter): Promise<number>;
  /** Hears of local blobs from those who serve them. */
  readonly suspicion: Pick<Suspicion, 'suspect' | 'clear'>;
  readonly worker: Worker;
  /** Whether removals wait, since this is a first start, or the primary is another than before. */
  readonly areRemovalsSuspended: boolean;
  /** Confirms the removals that wait; answers how many. @throws NotCompared */
  confirmRemovals(): Promise<number>;
  /** Ends what it began, for `grace` milliseconds at the most; the rest is taken up by the next start. */
  close(grace: number): Promise<void>;
}

// After a walk or a recovery that failed (ms), doubled with each failure.
const AGAIN_AFTER = 5_000;

/** Starts the worker, takes up what an earlier run began, and walks in its interval. @throws StoreUnavailable */
export async function startReplication(deps: ReplicationDeps, options: ReplicationOptions): Promise<Replication> {
  const { primary, secondary, filler, store, rows, known, isStored, log, meter, clock = Date.now } = deps;
  const { isOn, primaryUrl, concurrency, reconcileInterval, verifyInterval, removalShare } = options;

  await notePrimary({ rows, log, clock }, primaryUrl, () => forgetBackfill(rows));
  let areRemovalsSuspended = (await suspensionOf(rows)) !== undefined;
  const remover = createRemover({ secondary, store, rows, onDummy: deps.onDummy });
  // Before anybody is served, whether or not they are removed in this run.
  await remover.takeUp();

  const findTrouble = createFindTrouble({ primary, secondary }, { ...options.trouble, clock });
  const markReferrers = createMarkReferrers({ primary, rows, clock });
  const walks = createWalks({
    primary,
    secondary,
    rows,
    listedRepositories: deps.listedRepositories,
    isReplicated: isStored,
    markReferrers,
    findTrouble,
    onMarked: () => worker.nudge(),
    onCompared: () => noteCompared(rows),
    log,
    clock,
  });
  const removals = createRemovals(
    {
      primary,
      secondary,
      rows,
      remover,
      onRemoved: deps.onRemoved,
      clock,
      async mode() {
        // Another process may have confirmed.
        const suspension = await suspensionOf(rows);
        areRemovalsSuspended = suspension !== undefined;
        if (!isOn) return 'off';
        if (!suspension) return 'on';
        return suspension.because === 'first start' ? 'seen' : 'suspended';
      },
    },
    { share: removalShare },
  );
  const verification = createVerification(
    { ...deps, isReplicated: isStored, onMarked: () => worker.nudge(), clock },
    { interval: verifyInterval },
  );
  const { damage, inspector, whenDue } = verification;
  await damage.recall();
  const onMarked = (): void => worker.nudge();
  const suspicion = createSuspicion({ damage, inspector, verification, rows, onMarked, isOn, log, clock });
  const places = createPlaces({ primary, secondary, store, rows });
  const sync = createSync({
    primary,
    secondary,
    copy: createCopy({ primary, secondary, filler, store, known, places, damage }),
    removals,
    markReferrers,
    markReferrerTags: createMarkReferrerTags({ primary, rows, clock }),
    markRepository: walks.markRepository,
    isReplicated: isStored,
    isOn,
    findTrouble,
    onTrouble,
    clock,
  });
  const owner = await takeOverLeases(rows, clock());
  await rows.endLongWaits(clock());
  const worker: Worker = createWorker(
    { rows, sync, onFinished: removals.finished, log, meter, owner, clock },
    { concurrency, ...options.worker },
  );

  function onTrouble({ reason, pause }: Trouble): void {
    if (worker.pausedUntil === undefined) log.warn({ reason, pause }, 'replication pauses');
    worker.pause(pause, reason);
  }

  const closing = new AbortController();
  const recheck = createRecheck({ secondary, rows, onMarked, log, clock });
  const findSurplus = createFindSurplus({ primary, secondary, rows, isReplicated: isStored });

  /** Ends the suspension of a first start where nothing is here that it is for; whether that is, or was, so. */
  async function settleFirstStart(): Promise<boolean> {
    if ((await suspensionOf(rows))?.because !== 'first start') return true;
    try {
      const surplus = await findSurplus(closing.signal);
      if (surplus) {
        log.warn({ ...surplus }, 'here, and never seen at the primary: removals of such wait for confirm-removals');
        return false;
      }
    } catch (error) {
      if (closing.signal.aborted) throw error;
      log.warn({ reason: (error as Error).message }, 'removals wait: what is here only cannot be found out now');
      return false;
    }
    areRemovalsSuspended = !(await endFirstStart(rows));
    log.info({}, 'nothing is here that the primary lacks: removals wait no longer');
    return true;
  }

  /** Whether everything was walked over. */
  async function walk(): Promise<boolean> {
    // The clock may have been put back since the start.
    if ((await rows.endLongWaits(clock())) > 0) worker.nudge();
    const isFirst = (await rows.getFact(BACKFILLED)) !== true;
    if (isFirst && (await walks.backfill()).error === undefined) {
      await rows.setFact(BACKFILLED, true);
      if (await settleFirstStart()) return true;
      // What is here only is held by that, so that a person can look at it.
      return (await walks.reconcile()).error === undefined;
    }
    // Where there is no catalog to begin with, what is known is compared all the same.
    if ((await walks.reconcile()).error !== undefined) return false;
    await settleFirstStart();
    return !isFirst;
  }

  /** Does work until it succeeds, sooner and later; `pause` (ms) after that, or no more. */
  function persistently(work: () => Promise<boolean>, pause: number | undefined, what: string): Promise<void> {
    let failures = 0;
    return repeat(async () => {
      const isDone = await work().catch((error: unknown) => {
        log.warn({ reason: (error as Error).message }, what);
        return false;
      });
      failures = isDone ? 0 : failures + 1;
      if (isDone) return pause;
      return Math.min(reconcileInterval, AGAIN_AFTER * 2 ** Math.min(failures - 1, 20));
    }, closing.signal);
  }

  const background = isOn
    ? [
        persistently(remover.recover, undefined, 'a removal that was begun is not finished yet'),
        persistently(walk, reconcileInterval, 'walk failed'),
        repeat(whenDue, closing.signal),
        repeat(recheck, closing.signal),
      ]
    : [];

  return {
    enqueue({ name, reference }) {
      const mark = { repository: name, reference: referenceText(reference), priority: PRIORITY.onDemand };
      rows.mark([mark], clock()).then(worker.nudge, (error: unknown) => {
        log.error({ ...mark, reason: (error as Error).message }, 'not queued for storing');
      });
    },
    nudge: worker.nudge,
    walks,
    verification,
    recheck,
    suspicion,
    worker,
    inspector,
    async clearDamaged(filter) {
      const cleared = await clearDamaged({ rows, damage, clock }, filter);
      worker.nudge();
      return cleared;
    },
    get areRemovalsSuspended() {
      return areRemovalsSuspended;
    },
    async confirmRemovals() {
      const count = await confirmRemovals(rows, clock());
      areRemovalsSuspended = false;
      worker.nudge();
      return count;
    },
    async close(grace) {
      closing.abort();
      const limit = new AbortController();
      const timeUp = delay(grace, undefined, { signal: limit.signal }).catch(() => undefined);
      await Promise.race([Promise.all([walks.stop(), suspicion.stop(), verification.stop(), ...background]), timeUp]);
      limit.abort();
      await worker.close(grace);
    },
  };
}
