// Long work in steps, so that the event loop can do other work in between.
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Runs a generator that yields where it may be interrupted; resolves with its result. */
export async function inSteps<T>(work: Generator<unknown, T>): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    await nextTurn();
  }
}
