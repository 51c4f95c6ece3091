// A job: the work on one claimed row, until its outcome is written.
import { setTimeout as delay } from 'node:timers/promises';
import { retryAt } from './retry.ts';
import type { Outcome } from './row-queue.ts';
import type { Row } from './row.ts';
import { StoreUnavailable, type RowStore } from './rows.ts';
import type { Site } from './site.ts';

/** Works on one claimed row. Whatever it throws becomes a failed attempt. */
export type Sync = (row: Row) => Promise<Outcome>;

/** What all jobs of a worker share. */
export interface JobContext extends Pick<Site, 'log' | 'meter' | 'clock'> {
  readonly rows: Pick<RowStore, 'finish'>;
  readonly sync: Sync;
  /** Called when a row's outcome is on disk, or never will be; the row is the one that {@link Sync} got. */
  readonly onFinished: (row: Row) => void;
  /** A name that no other worker has, so that leases can be told apart. */
  readonly owner: string;
  /** Aborted when the worker closes. */
  readonly signal: AbortSignal;
}

/** How long (ms) to wait after the database could not be used: it is asked again soon, but not in a loop. */
export const STORE_PAUSE = 1_000;

const UNSUPPORTED = 'the secondary does not take it: clients get it from the primary';

/** Gives a row back untouched; where that fails its lease runs out. */
export async function release({ rows, owner, clock }: JobContext, row: Row): Promise<void> {
  await rows.finish(owner, row, { kind: 'released', nextAttempt: clock() }, clock()).catch(() => false);
}

/** One row at work. Its lease may run out meanwhile: then it is claimed again, and the job goes on with that claim. */
export class Job {
  readonly #context: JobContext;
  #row: Row;
  #next: Row | undefined;

  constructor(context: JobContext, row: Row) {
    this.#context = context;
    this.#row = row;
  }

  /** The row was claimed again: its lease ran out, or its outcome was written just before this claim. */
  claimedAgain(row: Row): void {
    this.#next = row;
  }

  /** Works until no claim is left; `onEnd` is called in the turn in which that is so. */
  async run(onEnd: () => void): Promise<void> {
    for (;;) {
      const row = this.#row;
      await this.#finish(await this.#outcomeOf(row));
      this.#context.onFinished(row);
      const next = this.#next;
      if (!next) return onEnd();
      if (this.#context.signal.aborted) {
        await release(this.#context, next);
        return onEnd();
      }
      this.#row = next;
      this.#next = undefined;
    }
  }

  /** Gives back all that is claimed for it. */
  async release(): Promise<void> {
    const claims = this.#next ? [this.#row, this.#next] : [this.#row];
    await Promise.all(claims.map((row) => release(this.#context, row)));
  }

  async #outcomeOf(row: Row): Promise<Outcome> {
    const { sync, meter } = this.#context;
    const outcome = await sync(row).catch((error: unknown) => this.#failed(row, (error as Error).message));
    meter('copies_total', { result: outcome.kind });
    this.#report(row, outcome);
    return outcome;
  }

  #report(row: Row, outcome: Outcome): void {
    const { log } = this.#context;
    const facts = { repository: row.repository, reference: row.reference, attempts: row.attempts };
    const reason = 'error' in outcome ? outcome.error : undefined;
    // The same reason as before is not logged again.
    const isNew = reason !== row.lastError;
    if (outcome.kind === 'failed') log.warn({ ...facts, reason }, 'not replicated yet');
    else if (outcome.kind === 'unsupported' && isNew) log.warn({ ...facts, reason }, UNSUPPORTED);
    else if (outcome.kind === 'waiting' && isNew) log.info({ ...facts, reason }, 'waits for another tag or manifest');
    else log.debug({ ...facts, outcome: outcome.kind }, 'row worked on');
  }

  #failed(row: Row, error: string): Outcome {
    return { kind: 'failed', error, nextAttempt: retryAt(row.attempts + 1, this.#context.clock()) };
  }

  /**
   * Writes the outcome, and tries again while the database cannot be used, so that the work is not done twice. A row that
   * is claimed again before its outcome is written had lost its lease; one that is claimed after that is for new work.
   */
  async #finish(outcome: Outcome): Promise<void> {
    const { rows, owner, clock, signal } = this.#context;
    for (let ending: Outcome | undefined = outcome; ending;) {
      this.#takeClaim();
      try {
        const isWritten = await rows.finish(owner, this.#row, ending, clock());
        if (isWritten || !this.#next) return;
      } catch (error) {
        this.#logUnwritten(error);
        if (signal.aborted) return release(this.#context, this.#row);
        ending = await this.#endingAfter(error, ending, ending === outcome);
      }
    }
  }

  /** The new claim is for the work that is done already. */
  #takeClaim(): void {
    if (this.#next) this.#row = { ...this.#row, claim: this.#next.claim };
    this.#next = undefined;
  }

  #logUnwritten(error: unknown): void {
    const { repository, reference } = this.#row;
    const { message: reason } = error as Error;
    this.#context.log.error({ repository, reference, reason }, 'the outcome could not be written');
  }

  /** What to write after a failure to write; undefined for nothing more: the lease will run out. */
  async #endingAfter(failure: unknown, ending: Outcome, isFirst: boolean): Promise<Outcome | undefined> {
    if (failure instanceof StoreUnavailable) {
      await delay(STORE_PAUSE, undefined, { signal: this.#context.signal, ref: false }).catch(() => undefined);
      return ending;
    }
    return isFirst ? this.#failed(this.#row, (failure as Error).message) : undefined;
  }
}
