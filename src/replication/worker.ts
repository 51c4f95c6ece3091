// The worker: claims due rows, works on several at once, renews their leases, and sleeps until there is more to do.
import { setTimeout as delay } from 'node:timers/promises';
import { Bell } from './bell.ts';
import { Job, release, STORE_PAUSE, type JobContext, type Sync } from './job.ts';
import type { Row } from './row.ts';
import type { RowStore } from './rows.ts';
import type { Site } from './site.ts';

/** What a worker uses of its site. */
export interface WorkerSite extends Pick<Site, 'log' | 'meter' | 'clock'> {
  readonly rows: Pick<RowStore, 'claim' | 'renew' | 'finish' | 'nextDue'>;
}

/** What a worker does, and the name under which it holds leases. */
export interface WorkerParts extends Pick<JobContext, 'owner'>, Partial<Pick<JobContext, 'onFinished'>> {
  readonly sync: Sync;
  /** Rings when rows were marked. */
  readonly bell?: Bell;
}

/** Times in milliseconds. */
export interface WorkerOptions {
  readonly concurrency?: number;
  readonly lease?: number;
  /** The longest sleep, since another process may mark rows. */
  readonly nap?: number;
}

interface Pause {
  readonly until: number;
  readonly time: number;
  readonly reason: string;
}

/** Runs until it is closed. */
export class Worker {
  readonly #site: WorkerSite;
  readonly #context: JobContext;
  readonly #bell: Bell;
  readonly #concurrency: number;
  readonly #lease: number;
  readonly #nap: number;
  /** By row id: no row is worked on twice at once. */
  readonly #running = new Map<number, { readonly job: Job; readonly end: Promise<void> }>();
  readonly #closing = new AbortController();
  readonly #renewing: NodeJS.Timeout;
  readonly #loop: Promise<void>;
  #pause: Pause | undefined;

  constructor(site: WorkerSite, parts: WorkerParts, options: WorkerOptions = {}) {
    const { sync, owner, onFinished = () => undefined, bell = new Bell() } = parts;
    const { concurrency = 4, lease = 30_000, nap = 5_000 } = options;
    this.#site = site;
    this.#context = { ...site, sync, owner, onFinished, signal: this.#closing.signal };
    this.#bell = bell;
    this.#concurrency = concurrency;
    this.#lease = lease;
    this.#nap = nap;
    this.#renewing = setInterval(() => this.#renew(), lease / 3).unref();
    this.#loop = this.#work();
  }

  /** Looks for due rows now: something was marked. */
  nudge(): void {
    this.#bell.ring();
  }

  /** Claims nothing for `time` ms, since no row could be worked on now. A longer pause under way stays in force. */
  pause(time: number, reason: string): void {
    const now = this.#site.clock();
    const until = now + time;
    if (until > (this.#pauseAt(now)?.until ?? 0)) this.#pause = { until, time, reason };
  }

  /** Until when nothing is claimed; undefined when it works. */
  get pausedUntil(): number | undefined {
    return this.#pauseAt(this.#site.clock())?.until;
  }

  /** Why nothing is claimed, for people. */
  get pausedBecause(): string | undefined {
    return this.#pauseAt(this.#site.clock())?.reason;
  }

  /** How many rows are worked on. */
  get running(): number {
    return this.#running.size;
  }

  /** Claims no more; resolves when the running jobs have ended, or are given back after `grace` ms. */
  async close(grace: number): Promise<void> {
    this.#closing.abort();
    this.#bell.ring();
    await this.#loop;
    const ended = Promise.all([...this.#running.values()].map(({ end }) => end));
    const limit = new AbortController();
    await Promise.race([ended, delay(grace, undefined, { signal: limit.signal }).catch(() => undefined)]);
    limit.abort();
    await Promise.all([...this.#running.values()].map(({ job }) => job.release()));
    clearInterval(this.#renewing);
  }

  /** The pause under way. A clock that was put back does not make it longer. */
  #pauseAt(now: number): Pause | undefined {
    const pause = this.#pause;
    if (pause && now >= pause.until) this.#pause = undefined;
    else if (pause && pause.until - now > pause.time) this.#pause = { ...pause, until: now + pause.time };
    return this.#pause;
  }

  async #work(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      this.#bell.reset();
      const pause = await this.#claimDue().catch((error: unknown) => {
        this.#site.log.error({ reason: (error as Error).message }, 'the replication database cannot be asked');
        return STORE_PAUSE;
      });
      if (pause > 0) await this.#bell.sleep(Math.min(pause, this.#nap));
    }
  }

  /** Claims as many due rows as there is room for; answers how long (ms) there is nothing to do then. */
  async #claimDue(): Promise<number> {
    const { rows, clock } = this.#site;
    const now = clock();
    const pause = this.#pauseAt(now);
    if (pause) return pause.until - now;
    const room = this.#concurrency - this.#running.size;
    // A job that ends rings the bell.
    if (room <= 0) return this.#nap;
    const claimed = await rows.claim(this.#context.owner, room, now, now + this.#lease);
    for (const row of claimed) await this.#take(row);
    if (claimed.length > 0) return 0;
    const due = await rows.nextDue();
    return due === undefined ? this.#nap : due - clock();
  }

  async #take(row: Row): Promise<void> {
    if (this.#closing.signal.aborted) return release(this.#context, row);
    const running = this.#running.get(row.id);
    if (running) running.job.claimedAgain(row);
    else this.#start(row);
  }

  #start(row: Row): void {
    const job = new Job(this.#context, row);
    const onEnd = (): void => {
      if (this.#running.get(row.id)?.job === job) this.#running.delete(row.id);
    };
    const end = job.run(onEnd).finally(() => {
      onEnd();
      this.#bell.ring();
    });
    this.#running.set(row.id, { job, end });
  }

  #renew(): void {
    if (this.#running.size === 0) return;
    const { rows, clock, log } = this.#site;
    rows.renew(this.#context.owner, [...this.#running.keys()], clock() + this.#lease).catch((error: unknown) => {
      log.error({ reason: (error as Error).message }, 'leases could not be renewed');
    });
  }
}
