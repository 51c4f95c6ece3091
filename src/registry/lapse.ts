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

/** Whether ranges are asked for. */
export interface Ranges {
  readonly areOff: boolean;
  /** Whether one was ever taken. */
  readonly areProven: boolean;
  /** A part was given as it was asked for. */
  taken(): void;
  /** A range was refused where all of it was given. */
  refused(): void;
}

/**
 * Off for an hour after a refusal; where ranges have been taken before one refusal says nothing, and two in a row do: without
 * ranges a transfer that breaks off begins anew.
 */
export function createRanges(clock?: () => number): Ranges {
  const off = createLapse(clock);
  let isProven = false;
  let inARow = 0;
  return {
    get areOff() {
      return off.isOn;
    },
    get areProven() {
      return isProven;
    },
    taken() {
      isProven = true;
      inARow = 0;
    },
    refused() {
      inARow += 1;
      if (!isProven || inARow > 1) off.note();
    },
  };
}
