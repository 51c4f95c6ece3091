// Clocks: tokens are valid by time, and each side looks at its own.
import { failed, ok, skipped, warning, type Finding } from './finding.ts';

/** How far (ms) others' clocks are ahead of ours, by whose they are; undefined where one does not say. */
export type Skews = readonly (readonly [string, number | undefined])[];

// Distribution's leeway, and ours (ms).
const LEEWAY = 60_000;
const SOON = 30_000;
const ADVICE = 'set the clocks by NTP, here first: a token is refused where clocks differ by more than 60 s';

function seconds(skew: number): string {
  const rounded = Math.round(skew / 1_000);
  return `${rounded > 0 ? '+' : ''}${rounded} s`;
}

/** @see Skews */
export function checkClock(skews: Skews): Finding {
  const known = skews.flatMap(([whose, skew]) => (skew === undefined ? [] : [{ whose, skew }]));
  if (known.length === 0) return skipped('nobody who was asked tells the time');
  const worst = Math.max(...known.map(({ skew }) => Math.abs(skew)));
  const text = `clocks against ours: ${known.map(({ whose, skew }) => `${whose} ${seconds(skew)}`).join(', ')}`;
  if (worst > LEEWAY) return failed(text, ADVICE);
  return worst > SOON ? warning(text, ADVICE) : ok(text);
}
