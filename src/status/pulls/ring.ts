// The tallies of the last steps of time, of which the oldest is used anew for the next one.
import { Tally } from './tally.ts';
import type { TrafficPoint } from '../api/pulls.ts';

interface Slot {
  /** Steps since the epoch; -1: never used. */
  step: number;
  readonly tally: Tally;
}

/** A bounded number of steps of `stepMs` milliseconds. */
export class Ring {
  readonly stepMs: number;
  readonly #slots: readonly Slot[];

  constructor(stepMs: number, steps: number) {
    this.stepMs = stepMs;
    this.#slots = Array.from({ length: steps }, () => ({ step: -1, tally: new Tally() }));
  }

  /** The tally of the step that `now` (ms since the epoch) is in. */
  at(now: number): Tally {
    const step = Math.floor(now / this.stepMs);
    const slot = this.#slots[step % this.#slots.length]!;
    if (slot.step !== step) {
      slot.step = step;
      slot.tally.clear();
    }
    return slot.tally;
  }

  /** All steps up to the one of `now`, oldest first; those without a pull are empty. */
  points(now: number): TrafficPoint[] {
    const last = Math.floor(now / this.stepMs);
    const empty = new Tally();
    return this.#slots.map((_, index) => {
      const step = last - this.#slots.length + 1 + index;
      const slot = this.#slots[step % this.#slots.length]!;
      return (slot.step === step ? slot.tally : empty).point(new Date(step * this.stepMs).toISOString());
    });
  }
}
