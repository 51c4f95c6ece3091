// Comparing: what one reference means at the primary and here, for one HEAD a side.
import { createSlots } from '../lib/slots.ts';
import type { Digest } from '../oci/digest.ts';
import { parseReference } from '../oci/reference.ts';
import type { Registry } from '../registry/registry.ts';
import type { Row } from './rows.ts';
import type { FindTrouble } from './trouble.ts';
import { WalkFailed } from './walk.ts';

/** What came out. `absent`: on neither side. `unclear`: a registry could not say, for reasons of that one reference. */
export type Verdict =
  { readonly kind: 'same'; readonly digest: Digest } | { readonly kind: 'absent' | 'different' | 'unclear' };

/** Compares one reference, a tag or a digest. @throws WalkFailed where no reference could be compared now. */
export type Compare = (name: string, reference: string) => Promise<Verdict>;

/** What comparing needs. */
export interface CompareDeps {
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly findTrouble: FindTrouble;
}

/** `atOnce` references are compared at once, whoever asks; `timeout` in milliseconds. */
export function createCompare(
  { primary, secondary, findTrouble }: CompareDeps,
  { atOnce, timeout }: { readonly atOnce: number; readonly timeout: number },
): Compare {
  // Background work gets half of all slots.
  const slots = createSlots(2 * atOnce);

  return async (name, text) => {
    const reference = parseReference(text);
    if (!reference) return { kind: 'absent' };
    const release = await slots.take({ priority: 'background' });
    try {
      const [there, here] = await Promise.all([
        primary.manifests.head(name, reference, timeout),
        secondary.manifests.head(name, reference, timeout),
      ]);
      for (const answer of [there, here]) {
        if (answer.kind === 'found' || answer.kind === 'missing') continue;
        const failure = new WalkFailed(`${name}:${text}`, answer);
        if (await findTrouble(failure)) throw failure;
        return { kind: 'unclear' };
      }
      if (there.kind === 'missing' && here.kind === 'missing') return { kind: 'absent' };
      if (there.kind !== 'found' || here.kind !== 'found') return { kind: 'different' };
      const { digest } = there.value;
      return digest === here.value.digest ? { kind: 'same', digest } : { kind: 'different' };
    } finally {
      release();
    }
  };
}

/** Whether a verdict is work for a worker; what waits for one already is none. A held removal is looked at anew. */
export function isWork(verdict: Verdict, row: Row | undefined): boolean {
  if (verdict.kind === 'same') return !row || (row.state === 'synced' && row.primaryDigest !== verdict.digest);
  const isSettled = row?.state === 'synced' || row?.isHeld === true;
  if (verdict.kind === 'absent') return isSettled || row?.state === 'unsupported';
  return !row || isSettled;
}
