// Doing something again and again, with pauses.
import { setTimeout as delay } from 'node:timers/promises';

// Timers hold no more; what is to be done after 25 days is done then.
const PAUSE_MAX = 2 ** 31 - 1;

/** Works until `work` gives no pause (ms) to the next time any more, or the signal ends it. */
export async function repeat(work: () => Promise<number | undefined>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const pause = await work();
    if (pause === undefined) return;
    await delay(Math.min(pause, PAUSE_MAX), undefined, { signal, ref: false }).catch(() => undefined);
  }
}
