// What a registry turned out not to take (HEAD, ranges): it is not asked so for an hour, and then again.

const HOUR = 3_600_000;

/** On for an hour after each note. */
export interface Lapse {
  readonly isOn: boolean;
  note(): void;
}

/** {@link Lapse}, by a clock that never goes back. */
export function createLapse(clock: () => number = () => performance.now()): Lapse {
  let until = 0;
  return {
    get isOn() {
      return clock() < until;
    },
    note: () => void (until = clock() + HOUR),
  };
}
