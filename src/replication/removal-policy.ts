// The removal policy: whether removals are on, and how a first start's suspension ends.
import { findSurplus } from './surplus.ts';
import { confirmRemovals, endFirstStart, suspensionOf } from './suspension.ts';
import type { Site } from './site.ts';

/**
 * `off`: nothing is ever removed. `suspended`: all wait for a person. `seen`: only what was copied from this primary is
 * removed, the rest waits.
 */
export type RemovalMode = 'on' | 'off' | 'seen' | 'suspended';

/** Reads the suspension, which another process may end, too. */
export class RemovalPolicy {
  readonly #site: Site;
  readonly #isOn: boolean;
  #isSuspended = false;

  constructor(site: Site, { isOn }: { readonly isOn: boolean }) {
    this.#site = site;
    this.#isOn = isOn;
  }

  /** Whether removals waited when that was last looked up. */
  get isSuspended(): boolean {
    return this.#isSuspended;
  }

  async mode(): Promise<RemovalMode> {
    const suspension = await suspensionOf(this.#site.rows);
    this.#isSuspended = suspension !== undefined;
    if (!this.#isOn) return 'off';
    if (!suspension) return 'on';
    return suspension.because === 'first start' ? 'seen' : 'suspended';
  }

  /** Confirms the removals that wait; answers how many. @throws NotCompared */
  async confirm(): Promise<number> {
    const { rows, clock } = this.#site;
    const count = await confirmRemovals(rows, clock());
    this.#isSuspended = false;
    return count;
  }

  /**
   * Ends the suspension of a first start where the secondary has no tag that the primary lacks; answers whether there is
   * no such suspension now. @throws when `signal` is aborted
   */
  async settleFirstStart(signal: AbortSignal): Promise<boolean> {
    const { rows, log } = this.#site;
    if ((await suspensionOf(rows))?.because !== 'first start') return true;
    try {
      const surplus = await findSurplus(this.#site, signal);
      if (surplus) {
        log.warn({ ...surplus }, 'tag exists only on the secondary; its removal waits for confirm-removals');
        return false;
      }
    } catch (error) {
      if (signal.aborted) throw error;
      const { message: reason } = error as Error;
      log.warn({ reason }, 'removals wait: it cannot be found out now what exists only on the secondary');
      return false;
    }
    this.#isSuspended = !(await endFirstStart(rows));
    log.info({}, 'the secondary has no tag that the primary lacks: removals no longer wait');
    return true;
  }
}
