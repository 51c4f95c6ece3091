// What a cause of failure is, and what to do about it.
import type { DamageKind } from './api.ts';

/** What kind a cause is of. */
export type CauseKind = DamageKind | 'unsupported' | 'refused' | 'unreachable' | 'other';

const KINDS: readonly (readonly [RegExp, CauseKind])[] = [
  [/damaged in the secondary's storage/, 'damaged-here'],
  [/missing at the primary|the primary names it, but does not give it/, 'missing-at-primary'],
  [/missing at the secondary|the secondary does not give it back|no such child/, 'missing-here'],
  [/refused|locked-out|DENIED|UNAUTHORIZED|credentials/, 'refused'],
  [/does not answer|circuit breaker|time.?out|ECONN|ENOTFOUND|EAI_AGAIN|unavailable|50[234]\b|busy/i, 'unreachable'],
];

const CAUSE_ADVICE: Readonly<Record<CauseKind, string>> = {
  'damaged-here': "Remove the file that the error names from the secondary's storage, then retry.",
  'missing-here':
    'The secondary lost content that was stored. Retry; where that does not help, restart a registry that caches descriptors.',
  'missing-at-primary':
    'The primary has lost a part of the image: push the image to the primary again, or delete its tag there.',
  unsupported: 'Clients get it from the primary. A newer registry here may take it; then retry.',
  refused:
    'The registry does not give or take it with our key: check its permissions, then retry. The doctor says more.',
  unreachable: 'The registry did not answer. It is tried again by itself; the doctor says what is wrong.',
  other: 'Mend the cause. It is tried again by itself, or at once with Retry.',
};

/** What kind a cause is of, and what to do. */
export function adviceFor(
  cause: string,
  isUnsupported: boolean,
): { readonly kind: CauseKind; readonly advice: string } {
  const found = KINDS.find(([pattern]) => pattern.test(cause))?.[1] ?? 'other';
  const kind = isUnsupported ? 'unsupported' : found;
  return { kind, advice: CAUSE_ADVICE[kind] };
}

const DAMAGE_ADVICE: Readonly<Record<DamageKind, string>> = {
  'damaged-here':
    "Remove the file from the secondary's storage, restart a registry that caches descriptors, then retry. Until then clients get the blob from the primary.",
  'missing-here':
    'The file is gone already: retry, and it is copied again. Until then clients get the blob from the primary.',
  'missing-at-primary':
    'The primary has lost the blob, too: clients get it from nowhere. Push an image that has it to the primary again.',
};

/** What to do about a blob that is marked as damaged. */
export function damageAdvice(kind: DamageKind): string {
  return DAMAGE_ADVICE[kind];
}
