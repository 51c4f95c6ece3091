// The resumption of a source that broke: when it is tried again, and for how long.
import { setTimeout as delay } from 'node:timers/promises';
import type { SourceOptions } from './source.ts';
import { GaveWay, SourceFailed } from './source-errors.ts';

// A registry that restarts is back within this time; a client that gets no byte for longer is better off with an error.
const PATIENCE = 30_000;
// The first retry comes at once, the next after 100 ms, then doubling pauses of 2 s at most.
const PAUSE = 100;
const PAUSE_MAX = 2_000;

function pauseBefore(attempt: number): number {
  return attempt === 0 ? 0 : Math.min(PAUSE_MAX, PAUSE * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
}

/** Retries of one source without progress in between. */
export class Resumption {
  readonly #options: SourceOptions;
  /** So many bytes are progress. */
  readonly #least: number;
  #brokeAt: number | undefined;
  #attempts = 0;
  #bytes = 0;

  constructor(options: SourceOptions, least: number) {
    this.#options = options;
    this.#least = least;
  }

  /** Notes bytes that came. */
  count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < this.#least) return;
    this.#bytes = 0;
    this.#brokeAt = undefined;
    this.#attempts = 0;
  }

  /** Waits until the next attempt is due. @throws SourceFailed when the time for attempts is over */
  async pauseAfter(cause: unknown, position: number): Promise<void> {
    const { signal, patience = PATIENCE, onResume, slot } = this.#options;
    if (signal?.aborted) throw new SourceFailed('stopped', signal.reason);
    if (cause instanceof GaveWay) return this.#passSlot(true);
    this.#brokeAt ??= performance.now();
    if (performance.now() - this.#brokeAt > patience) throw new SourceFailed('no progress', cause);
    onResume?.(position, cause);
    await delay(pauseBefore(this.#attempts), undefined, signal && { signal }).catch(() => undefined);
    this.#attempts += 1;
    if (slot?.isWanted()) await this.#passSlot(false);
  }

  /** Gives the slot to others until it comes back; that time does not count as time without progress. */
  async #passSlot(isSlow: boolean): Promise<void> {
    const { slot, signal } = this.#options;
    const since = performance.now();
    await slot?.pass(signal, isSlow);
    if (this.#brokeAt !== undefined) this.#brokeAt += performance.now() - since;
  }
}
