// Comparing: what one reference means at the primary and here, for one HEAD a side.
import { createSlots } from '../lib/slots.ts';
import type { Digest } from '../oci/digest.ts';
import { parseReference } from '../oci/reference.ts';
import type { Registry } from '../registry/registry.ts';
import type { Row } from './rows.ts';
import type { FindTrouble } from './trouble.ts';
import { WalkFailed } from './walk.ts';

/**
 * What came out; `digest` is the primary's. `different`: the primary has something else than is here, if anything is; `surplus`: only here;
 * `absent`: on neither side; `unclear`: a registry could not say, for reasons of that one reference.
 */
export type Verdict =
  | { readonly kind: 'same' | 'different'; readonly digest: Digest }
  | { readonly kind: 'surplus' | 'absent' | 'unclear' };

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
      if (there.kind !== 'found') return { kind: here.kind === 'found' ? 'surplus' : 'absent' };
      const { digest } = there.value;
      const isSame = here.kind === 'found' && here.value.digest === digest;
      return { kind: isSame ? 'same' : 'different', digest };
    } finally {
      release();
    }
  };
}

/** Whether a verdict is work for a worker; what waits for one already is none. */
export function isWork(verdict: Verdict, row: Row | undefined): boolean {
  if (!row) return verdict.kind !== 'absent';
  // What was held since it was gone waits for a person, unless it is there again, or gone here, too.
  if (row.isHeld) return verdict.kind !== 'surplus';
  // The secondary would refuse the same manifest again.
  if (row.state === 'unsupported' && verdict.kind === 'different') return verdict.digest !== row.primaryDigest;
  if (row.state === 'unsupported') return verdict.kind !== 'unclear';
  return row.state === 'synced' && !(verdict.kind === 'same' && verdict.digest === row.primaryDigest);
}
