// The schedule: what replication does by itself, without an event, a pull or a person.
import type { Queue } from './queue.ts';
import { recheckUnsupported } from './recheck.ts';
import { BACKFILLED, type Walks } from './reconcile.ts';
import type { RemovalPolicy } from './removal-policy.ts';
import type { Remover } from './remove.ts';
import { repeat } from './repeat.ts';
import type { Site } from './site.ts';
import type { Verification } from './verification.ts';

/** What is scheduled; `interval` between compare runs in milliseconds. */
export interface ScheduleParts {
  readonly queue: Queue;
  readonly remover: Remover;
  readonly walks: Walks;
  readonly policy: RemovalPolicy;
  readonly verification: Verification;
  readonly interval: number;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

// After a run or a recovery that failed (ms), doubled with each failure.
const AGAIN_AFTER = 5_000;

/** The background work of replication. */
export class Schedule {
  readonly #site: Site;
  readonly #parts: ScheduleParts;

  constructor(site: Site, parts: ScheduleParts) {
    this.#site = site;
    this.#parts = parts;
  }

  /** Works until the signal ends it, and resolves then. */
  async run(): Promise<void> {
    const { remover, verification, queue, interval, signal } = this.#parts;
    await Promise.all([
      this.#persistently(() => remover.recover(), undefined, 'a removal that was begun is not finished yet'),
      this.#persistently(() => this.#walk(), interval, 'walk failed'),
      repeat(() => verification.whenDue(), signal),
      repeat(() => recheckUnsupported(this.#site, queue), signal),
    ]);
  }

  /** The first time a backfill, then a compare run; answers whether everything was compared. */
  async #walk(): Promise<boolean> {
    const { rows, clock } = this.#site;
    const { queue, walks, policy, signal } = this.#parts;
    // The clock may have been put back since the start.
    if ((await rows.endLongWaits(clock())) > 0) queue.wake();
    const isFirst = (await rows.getFact(BACKFILLED)) !== true;
    if (isFirst && (await walks.backfill()).error === undefined) {
      await rows.setFact(BACKFILLED, true);
      if (await policy.settleFirstStart(signal)) return true;
      // Removals of what exists only on the secondary are held by a compare run, so that a person can look at them.
      return (await walks.reconcile()).error === undefined;
    }
    // Without a catalog for the backfill, what is known is compared all the same.
    if ((await walks.reconcile()).error !== undefined) return false;
    await policy.settleFirstStart(signal);
    return !isFirst;
  }

  /** Repeats work after `pause` ms, or no more; sooner while it does not succeed. */
  #persistently(work: () => Promise<boolean>, pause: number | undefined, failure: string): Promise<void> {
    let failures = 0;
    return repeat(async () => {
      const isDone = await work().catch((error: unknown) => {
        this.#site.log.warn({ reason: (error as Error).message }, failure);
        return false;
      });
      failures = isDone ? 0 : failures + 1;
      if (isDone) return pause;
      return Math.min(this.#parts.interval, AGAIN_AFTER * 2 ** Math.min(failures - 1, 20));
    }, this.#parts.signal);
  }
}
