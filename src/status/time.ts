// Times as JSON has them.

/** A time (ms since the epoch) as ISO 8601 in UTC; null for none. */
export function isoTime(time: number | undefined): string | null {
  return time === undefined ? null : new Date(time).toISOString();
}
