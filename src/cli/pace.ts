// How fast something goes: what was added up, over the last half minute.

const WINDOW = 30_000;
// A rate of less (ms) says nothing yet.
const LEAST = 3_000;

/** Sums at one moment: things done, and bytes. */
export interface Sums {
  readonly done: number;
  readonly bytes: number;
}

/** What has been since the first look, and how fast it goes; undefined what is not known yet. */
export interface Pace {
  readonly bytes: number;
  readonly bytesPerSecond: number | undefined;
  /** The time (ms) that as much takes. */
  timeFor(things: number): number | undefined;
}

/** Takes sums, and gives the pace of the last half minute. */
export function createPace(clock = Date.now): (sums: Sums) => Pace {
  let first: Sums | undefined;
  let seen: (Sums & { readonly at: number })[] = [];
  return (sums) => {
    const at = clock();
    first ??= sums;
    seen = [...seen.filter((one) => at - one.at <= WINDOW), { ...sums, at }];
    const oldest = seen[0]!;
    const seconds = (at - oldest.at) / 1_000;
    const isKnown = at - oldest.at >= LEAST;
    const perSecond = isKnown ? (sums.done - oldest.done) / seconds : 0;
    return {
      bytes: Math.max(0, sums.bytes - first.bytes),
      bytesPerSecond: isKnown ? Math.max(0, sums.bytes - oldest.bytes) / seconds : undefined,
      timeFor: (things) => (perSecond > 0 ? (things / perSecond) * 1_000 : undefined),
    };
  };
}
