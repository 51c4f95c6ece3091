// The worker: claims due rows, works on several at once, renews their leases, and sleeps until there is more to do.
import type { Log } from '../lib/log.ts';
import type { Meter } from '../lib/meter.ts';
import type { Outcome, Row, RowStore } from './rows.ts';

/** Works on one claimed row. Whatever it throws becomes a failed attempt. */
export type Sync = (row: Row) => Promise<Outcome>;

/** What a worker is made of. */
export interface WorkerDeps {
  readonly rows: Pick<RowStore, 'claim' | 'renew' | 'finish' | 'nextDue'>;
  readonly sync: Sync;
  readonly log: Log;
  readonly meter: Meter;
  /** A name that no other worker has, so that leases can be told apart. */
  readonly owner: string;
  readonly clock?: () => number;
}

/** Times in milliseconds. */
export interface WorkerOptions {
  readonly concurrency?: number;
  readonly lease?: number;
  /** How long it sleeps at the most: another process may have marked rows. */
  readonly nap?: number;
}

/** Runs until it is closed. */
export interface Worker {
  /** Looks for due rows now: something was marked. */
  nudge(): void;
  /** Claims nothing for a while: the secondary takes no writes now. */
  pause(time: number): void;
  /** Until when nothing is claimed; undefined when it works. */
  readonly pausedUntil: number | undefined;
  /** Rows that are worked on. */
  readonly running: number;
  /** Claims no more; resolves when what runs has ended, or after `grace` ms (the leases run out then). */
  close(grace: number): Promise<void>;
}

// After a store that cannot be asked (ms): it is asked again soon, but not in a loop.
const STORE_PAUSE = 1_000;

// Retries (ms): exponential with jitter, capped, so that one broken tag costs some thirty attempts a day, not thousands.
const RETRY_FIRST = 500;
const RETRY_MAX = 3_600_000;

/** When a row whose `attempts`-th attempt failed is due again. */
export function retryAt(attempts: number, now: number, random = Math.random): number {
  const pause = Math.min(RETRY_MAX, RETRY_FIRST * 2 ** Math.min(attempts, 30));
  return now + Math.round(pause * (0.75 + random() / 4));
}

/** @see Worker */
export function createWorker(deps: WorkerDeps, options: WorkerOptions = {}): Worker {
  const { rows, sync, log, meter, owner, clock = Date.now } = deps;
  const { concurrency = 4, lease = 60_000, nap = 5_000 } = options;
  const running = new Map<number, Promise<void>>();
  const idlers: (() => void)[] = [];
  let timer: NodeJS.Timeout | undefined;
  let isLooking = false;
  let isDirty = false;
  let closed = false;
  let pausedUntil = 0;

  function sleep(time: number): void {
    clearTimeout(timer);
    if (!closed) timer = setTimeout(look, Math.max(0, Math.min(time, nap))).unref();
  }

  /** One look at a time; a nudge during it makes it look again. */
  function look(): void {
    isDirty = true;
    if (isLooking || closed) return;
    isLooking = true;
    void claimAll()
      .catch((error: unknown) => {
        log.error({ reason: (error as Error).message }, 'the replication database cannot be asked');
        return STORE_PAUSE;
      })
      .then((pause) => {
        isLooking = false;
        if (isDirty && pause === undefined) look();
        else sleep(pause ?? nap);
      });
  }

  /** Claims until slots or rows run out; the time to sleep, or undefined to look again at once. */
  async function claimAll(): Promise<number | undefined> {
    isDirty = false;
    const now = clock();
    if (now < pausedUntil) return pausedUntil - now;
    const free = concurrency - running.size;
    // Whoever ends looks again.
    if (free <= 0) return nap;
    const claimed = await rows.claim(owner, free, now, now + lease);
    for (const row of claimed) start(row);
    if (claimed.length > 0) return undefined;
    const due = await rows.nextDue();
    return due === undefined ? nap : due - clock();
  }

  function start(row: Row): void {
    const work = run(row).finally(() => {
      running.delete(row.id);
      look();
      if (running.size === 0) for (const wake of idlers.splice(0)) wake();
    });
    running.set(row.id, work);
  }

  async function run(row: Row): Promise<void> {
    const outcome = await sync(row).catch((error: unknown): Outcome => {
      const attempts = row.attempts + 1;
      return { kind: 'failed', error: (error as Error).message, nextAttempt: retryAt(attempts, clock()) };
    });
    meter('copies_total', { result: outcome.kind });
    const facts = { repository: row.repository, reference: row.reference, attempts: row.attempts };
    if (outcome.kind === 'failed') log.warn({ ...facts, reason: outcome.error }, 'not replicated yet');
    else log.debug({ ...facts, outcome: outcome.kind }, 'row worked on');
    // A database that does not take it: the lease runs out, and the row is worked on again.
    await rows.finish(owner, row, outcome, clock()).catch((error: unknown) => {
      log.error({ ...facts, reason: (error as Error).message }, 'the outcome could not be written');
    });
  }

  const renewing = setInterval(() => {
    if (running.size === 0) return;
    rows.renew(owner, [...running.keys()], clock() + lease).catch((error: unknown) => {
      log.error({ reason: (error as Error).message }, 'leases could not be renewed');
    });
  }, lease / 3);
  renewing.unref();

  look();
  return {
    nudge: look,
    pause(time) {
      pausedUntil = Math.max(pausedUntil, clock() + time);
    },
    get pausedUntil() {
      return pausedUntil > clock() ? pausedUntil : undefined;
    },
    get running() {
      return running.size;
    },
    async close(grace) {
      closed = true;
      clearTimeout(timer);
      if (running.size > 0) {
        await new Promise<void>((resolve) => {
          setTimeout(resolve, grace).unref();
          idlers.push(resolve);
        });
      }
      clearInterval(renewing);
    },
  };
}
