// One row of the table: a figure, what it has to be, and the arithmetic that makes one of many measurements.

/** What a figure has to be, in its own unit. */
export type Limit = { readonly atMost: number } | { readonly atLeast: number };

/** One row of the table. */
export interface Figure {
  readonly name: string;
  /** The median of the runs; undefined where it could not be measured, `note` says why then. */
  readonly value: number | undefined;
  readonly unit: string;
  readonly limit?: Limit;
  readonly runs: number;
  /** What a reader has to know to believe it. */
  readonly note?: string;
}

/** How a figure stands to its limit; `none` has none, `n/a` could not be measured. */
export type Verdict = 'ok' | 'missed' | 'none' | 'n/a';

/** The middle one; of an even number the mean of the middle two. NaN for none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return NaN;
  const sorted = values.toSorted((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The value that `share` (0 to 1) of all are not above. NaN for none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}

/** The median of what each turn gave by itself: noise that hits a whole turn hits both of its sides. */
export function ratio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((value, turn) => value / theirs[turn]!));
}

/** @see Verdict */
export function verdict({ value, limit }: Figure): Verdict {
  if (value === undefined || Number.isNaN(value)) return 'n/a';
  if (limit === undefined) return 'none';
  const isGood = 'atMost' in limit ? value <= limit.atMost : value >= limit.atLeast;
  return isGood ? 'ok' : 'missed';
}

/** By which share of its limit a figure misses it; undefined where it does not. */
export function missedBy(figure: Figure): number | undefined {
  const { value, limit } = figure;
  if (verdict(figure) !== 'missed' || value === undefined || limit === undefined) return undefined;
  return 'atMost' in limit ? value / limit.atMost - 1 : 1 - value / limit.atLeast;
}
