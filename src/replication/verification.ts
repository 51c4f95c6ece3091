// Verification: what is in the secondary is verified by its interval, and whenever somebody asks; one run at a time.
import { createLru } from '../lib/lru.ts';
import type { Site } from './site.ts';
import {
  VerificationRun,
  type VerificationParts,
  type VerificationProgress,
  type VerificationScope,
} from './verification-run.ts';

/** A fact: when the last verification that came to its end did (ms since the epoch). */
const VERIFIED = 'verify.ended';
// The last one cannot have ended later than now, but for a clock that is set a little (ms).
const CLOCK_LEEWAY = 60_000;
// After a verification that ended early (ms).
const AGAIN_AFTER = 600_000;

/** Verifies the secondary. */
export class Verification {
  readonly #site: Site;
  readonly #parts: VerificationParts;
  readonly #interval: number;
  readonly #stopping = new AbortController();
  /** Repositories that are to be verified soon. */
  readonly #waiting = createLru<string, true>('unsoundRepositories');
  #soon: Promise<void> | undefined;
  #current: { readonly isOfAll: boolean; readonly end: Promise<VerificationProgress> } | undefined;
  #latest: VerificationRun | undefined;

  /** `interval` in milliseconds. */
  constructor(site: Site, parts: VerificationParts, interval: number) {
    this.#site = site;
    this.#parts = parts;
    this.#interval = interval;
  }

  /** The run under way, or the last one. */
  get progress(): VerificationProgress | undefined {
    return this.#latest?.progress;
  }

  /** Verifies now; a run of all joins one that is under way, any other waits for its end. */
  run(scope: VerificationScope = {}): Promise<VerificationProgress> {
    const isOfAll = !scope.wanted;
    // A run of some repositories may be asked for what the run of all has passed already.
    if (this.#current?.isOfAll && isOfAll && !scope.rehash) return this.#current.end;
    const end = Promise.resolve(this.#current?.end).then(() => this.#start(scope));
    const mine = { isOfAll, end };
    this.#current = mine;
    void end.then(() => {
      if (this.#current === mine) this.#current = undefined;
    });
    return end;
  }

  /** Verifies a repository when earlier ones are done. */
  runSoon(repository: string): void {
    this.#waiting.set(repository, true);
    this.#soon ??= this.#runWaiting();
  }

  /** Verifies if it is time; answers the time (ms) to the next call. Never rejects. */
  async whenDue(): Promise<number> {
    try {
      return await this.#runIfDue();
    } catch (error) {
      this.#site.log.warn({ reason: (error as Error).message }, 'verification failed');
      return Math.min(this.#interval, AGAIN_AFTER);
    }
  }

  /** Ends the run; resolves when it has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopped'));
    await this.#soon;
    await this.#current?.end;
  }

  #start(scope: VerificationScope): Promise<VerificationProgress> {
    this.#latest = new VerificationRun(this.#site, this.#parts, scope, this.#stopping.signal);
    // The next interval begins at the end of a run of all, whoever asked for it.
    return this.#latest.run(() => this.#site.rows.setFact(VERIFIED, this.#site.clock()));
  }

  async #runWaiting(): Promise<void> {
    while (this.#waiting.size > 0 && !this.#stopping.signal.aborted) {
      const names = new Set(this.#waiting.keys());
      this.#waiting.clear();
      await this.run({ wanted: (name) => names.has(name) });
    }
    this.#soon = undefined;
  }

  async #runIfDue(): Promise<number> {
    const { rows, clock } = this.#site;
    const interval = this.#interval;
    const last = await rows.getFact(VERIFIED);
    if (typeof last !== 'number') {
      // At the first start there is nothing to verify; the interval begins now, also over restarts.
      await rows.setFact(VERIFIED, clock());
      return interval;
    }
    if (clock() < last + interval && last <= clock() + CLOCK_LEEWAY) return last + interval - clock();
    const { error } = await this.run();
    return error === undefined ? interval : Math.min(interval, AGAIN_AFTER);
  }
}
