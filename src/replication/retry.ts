// When a failed row is tried again.
import { PUT_OFF_MAX } from './row.ts';

// Pauses (ms) double up to the maximum, with jitter: one broken tag costs some forty attempts a day, not thousands.
const RETRY_FIRST = 500;

/** When a row is due again whose attempt failed; `attempts` includes that one, so it is at least 1. */
export function retryAt(attempts: number, now: number, random = Math.random): number {
  const pause = Math.min(PUT_OFF_MAX, RETRY_FIRST * 2 ** Math.min(attempts - 1, 30));
  return now + Math.round(pause * (0.75 + random() / 4));
}
