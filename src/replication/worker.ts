// The worker: claims due rows, works on several at once, renews their leases, and sleeps until there is more to do.
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../lib/log.ts';
import type { Meter } from '../lib/meter.ts';
import { PUT_OFF_MAX, StoreUnavailable, type Outcome, type Row, type RowStore } from './rows.ts';

/** Works on one claimed row. Whatever it throws becomes a failed attempt. */
export type Sync = (row: Row) => Promise<Outcome>;

/** What a worker is made of; `clock` in milliseconds since the epoch. */
export interface WorkerDeps {
  readonly rows: Pick<RowStore, 'claim' | 'renew' | 'finish' | 'nextDue'>;
  readonly sync: Sync;
  /** Told when a row's outcome is on disk, or never will be; the row is the one that {@link Sync} got. */
  readonly onFinished?: (row: Row) => void;
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
  /** Claims nothing for a while, since no row could be worked on now. */
  pause(time: number, reason: string): void;
  /** Until when nothing is claimed; undefined when it works. */
  readonly pausedUntil: number | undefined;
  /** Why nothing is claimed, for people. */
  readonly pausedBecause: string | undefined;
  /** Rows that are worked on. */
  readonly running: number;
  /** Claims no more; resolves when what runs has ended, or is given back after `grace` ms. */
  close(grace: number): Promise<void>;
}

// After a store that cannot be asked (ms): it is asked again soon, but not in a loop.
const STORE_PAUSE = 1_000;

// Retries (ms): exponential with jitter, capped, so that one broken tag costs some forty attempts a day, not thousands.
const RETRY_FIRST = 500;

const UNSUPPORTED = 'the secondary does not take it: clients get it from the primary';

/** When a row is due again whose attempt failed; `attempts` with that one, so 1 at the least. */
export function retryAt(attempts: number, now: number, random = Math.random): number {
  const pause = Math.min(PUT_OFF_MAX, RETRY_FIRST * 2 ** Math.min(attempts - 1, 30));
  return now + Math.round(pause * (0.75 + random() / 4));
}

/** Work on a row. `next` is the row as it was claimed again meanwhile. */
interface Job {
  /** As it was claimed when its work began; `claim` is the latest one that the work stands for. */
  row: Row;
  next: Row | undefined;
  readonly done: Promise<void>;
}

/** A bell whose ringing is never lost: one that rang before the sleep ends the sleep at once. */
interface Bell {
  ring(): void;
  /** Resolves after `time` ms or when it rings, counted from the last {@link Bell.hush}. */
  sleep(time: number): Promise<void>;
  hush(): void;
}

function createBell(): Bell {
  let rang = false;
  let wake: (() => void) | undefined;
  return {
    ring() {
      rang = true;
      wake?.();
    },
    async sleep(time) {
      if (rang) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, time).unref();
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      wake = undefined;
    },
    hush() {
      rang = false;
    },
  };
}

/** @see Worker */
export function createWorker(deps: WorkerDeps, options: WorkerOptions = {}): Worker {
  const { rows, sync, onFinished, log, meter, owner, clock = Date.now } = deps;
  const { concurrency = 4, lease = 30_000, nap = 5_000 } = options;
  /** By row id: no row is worked on twice at once. */
  const running = new Map<number, Job>();
  const bell = createBell();
  const closing = new AbortController();
  let paused: { readonly until: number; readonly time: number; readonly reason: string } | undefined;

  /** The pause that is not over; a clock that was put back makes none longer. */
  function pauseAt(now: number): typeof paused {
    if (paused && now >= paused.until) paused = undefined;
    if (paused && paused.until - now > paused.time) paused = { ...paused, until: now + paused.time };
    return paused;
  }

  /** Claims what is due as far as there is room; how long (ms) nothing is to be done then. */
  async function claimDue(): Promise<number> {
    const now = clock();
    const pause = pauseAt(now);
    if (pause) return pause.until - now;
    const room = concurrency - running.size;
    // Whoever ends rings.
    if (room <= 0) return nap;
    const claimed = await rows.claim(owner, room, now, now + lease);
    for (const row of claimed) await take(row);
    if (claimed.length > 0) return 0;
    const due = await rows.nextDue();
    return due === undefined ? nap : due - clock();
  }

  async function take(row: Row): Promise<void> {
    if (closing.signal.aborted) return release(row);
    const job = running.get(row.id);
    // Its lease ran out, or its outcome was written just before this claim.
    if (job) job.next = row;
    else start(row);
  }

  function start(row: Row): void {
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const job: Job = { row, next: undefined, done };
    running.set(row.id, job);
    void run(job).finally(() => {
      if (running.get(row.id) === job) running.delete(row.id);
      resolve();
      bell.ring();
    });
  }

  /** Gives a row back untouched; where that fails its lease runs out. */
  async function release(row: Row): Promise<void> {
    await rows.finish(owner, row, { kind: 'released', nextAttempt: clock() }, clock()).catch(() => false);
  }

  async function run(job: Job): Promise<void> {
    for (;;) {
      const { row } = job;
      await finish(job, await outcomeOf(row));
      onFinished?.(row);
      const { next } = job;
      if (next && closing.signal.aborted) await release(next);
      else if (next) {
        job.row = next;
        job.next = undefined;
        continue;
      }
      // In the turn in which there was no other claim: a later one finds no job.
      running.delete(row.id);
      return;
    }
  }

  async function outcomeOf(row: Row): Promise<Outcome> {
    const outcome = await sync(row).catch((error: unknown) => failed(row, (error as Error).message));
    meter('copies_total', { result: outcome.kind });
    const facts = { repository: row.repository, reference: row.reference, attempts: row.attempts };
    const reason = 'error' in outcome ? outcome.error : undefined;
    // What was looked at again for the same reason is no news.
    const isNews = reason !== row.lastError;
    if (outcome.kind === 'failed') log.warn({ ...facts, reason }, 'not replicated yet');
    else if (outcome.kind === 'unsupported' && isNews) log.warn({ ...facts, reason }, UNSUPPORTED);
    else if (outcome.kind === 'waiting' && isNews) log.info({ ...facts, reason }, 'waits for another tag or manifest');
    else log.debug({ ...facts, outcome: outcome.kind }, 'row worked on');
    return outcome;
  }

  function failed(row: Row, error: string): Outcome {
    return { kind: 'failed', error, nextAttempt: retryAt(row.attempts + 1, clock()) };
  }

  /** The claim that came meanwhile is one for the work that there is. */
  function takeClaim(job: Job): void {
    if (job.next) job.row = { ...job.row, claim: job.next.claim };
    job.next = undefined;
  }

  /**
   * Writes the outcome, and again while the store cannot: what was done is not to be done twice. A row that is claimed
   * again before its outcome is written had lost its lease; one that is claimed after that is for new work.
   */
  async function finish(job: Job, outcome: Outcome): Promise<void> {
    for (let ending = outcome; ;) {
      takeClaim(job);
      try {
        const isWritten = await rows.finish(owner, job.row, ending, clock());
        if (isWritten || !job.next) return;
      } catch (error) {
        const { repository, reference } = job.row;
        const { message: reason } = error as Error;
        log.error({ repository, reference, reason }, 'the outcome could not be written');
        if (closing.signal.aborted) return release(job.row);
        if (error instanceof StoreUnavailable) {
          await delay(STORE_PAUSE, undefined, { signal: closing.signal, ref: false }).catch(() => undefined);
        } else if (ending === outcome) ending = failed(job.row, reason);
        // Only the end of the lease is left.
        else return;
      }
    }
  }

  async function work(): Promise<void> {
    while (!closing.signal.aborted) {
      bell.hush();
      const pause = await claimDue().catch((error: unknown) => {
        log.error({ reason: (error as Error).message }, 'the replication database cannot be asked');
        return STORE_PAUSE;
      });
      if (pause > 0) await bell.sleep(Math.min(pause, nap));
    }
  }

  function renew(): void {
    if (running.size === 0) return;
    rows.renew(owner, [...running.keys()], clock() + lease).catch((error: unknown) => {
      log.error({ reason: (error as Error).message }, 'leases could not be renewed');
    });
  }

  const renewing = setInterval(renew, lease / 3).unref();
  const working = work();

  async function close(grace: number): Promise<void> {
    closing.abort();
    bell.ring();
    await working;
    const ended = Promise.all([...running.values()].map((job) => job.done));
    const limit = new AbortController();
    await Promise.race([ended, delay(grace, undefined, { signal: limit.signal }).catch(() => undefined)]);
    limit.abort();
    await Promise.all([...running.values()].flatMap(({ row, next }) => [row, next ?? []].flat()).map(release));
    clearInterval(renewing);
  }

  return {
    nudge: bell.ring,
    pause(time, reason) {
      const now = clock();
      const until = now + time;
      if (until > (pauseAt(now)?.until ?? 0)) paused = { until, time, reason };
    },
    get pausedUntil() {
      return pauseAt(clock())?.until;
    },
    get pausedBecause() {
      return pauseAt(clock())?.reason;
    },
    get running() {
      return running.size;
    },
    close,
  };
}
