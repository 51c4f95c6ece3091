// Long work in steps: what else the event loop has to do comes between them.
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Does work that yields where it may be interrupted; resolves with its result. */
export async function inSteps<T>(work: Generator<unknown, T>): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    await nextTurn();
  }
}
