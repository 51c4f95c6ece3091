// Comparing: what one reference means at the primary and in the secondary, by one HEAD to each.
import { createSlots, type Slots } from '../lib/slots.ts';
import type { Digest } from '../oci/digest.ts';
import { parseReference } from '../oci/reference.ts';
import type { Outages } from './outage.ts';
import type { Row } from './row.ts';
import { ANSWER_TIMEOUT, type Site } from './site.ts';
import { WalkFailed } from './walk.ts';

/**
 * What came out; `digest` is the primary's. `different`: the secondary has another manifest, or none. `surplus`: only the
 * secondary has it. `absent`: neither has it. `unclear`: a registry could not say, for reasons of that one reference.
 */
export type Verdict =
  | { readonly kind: 'same' | 'different'; readonly digest: Digest }
  | { readonly kind: 'surplus' | 'absent' | 'unclear' };

/** Compares references, so many at once, whoever asks. */
export class Comparer {
  readonly #site: Pick<Site, 'primary' | 'secondary'>;
  readonly #outages: Outages;
  readonly #slots: Slots;

  constructor(site: Pick<Site, 'primary' | 'secondary'>, outages: Outages, atOnce: number) {
    this.#site = site;
    this.#outages = outages;
    // Background work gets half of all slots.
    this.#slots = createSlots(2 * atOnce);
  }

  /** Compares a tag or a digest. @throws WalkFailed in an outage, when no reference could be compared */
  async compare(name: string, text: string): Promise<Verdict> {
    const reference = parseReference(text);
    if (!reference) return { kind: 'absent' };
    const release = await this.#slots.take({ priority: 'background' });
    try {
      const { primary, secondary } = this.#site;
      const [atPrimary, atSecondary] = await Promise.all([
        primary.manifests.head(name, reference, ANSWER_TIMEOUT),
        secondary.manifests.head(name, reference, ANSWER_TIMEOUT),
      ]);
      for (const answer of [atPrimary, atSecondary]) {
        if (answer.kind === 'found' || answer.kind === 'missing') continue;
        const failure = new WalkFailed(`${name}:${text}`, answer);
        if (await this.#outages.find(failure)) throw failure;
        return { kind: 'unclear' };
      }
      if (atPrimary.kind !== 'found') return { kind: atSecondary.kind === 'found' ? 'surplus' : 'absent' };
      const { digest } = atPrimary.value;
      const isSame = atSecondary.kind === 'found' && atSecondary.value.digest === digest;
      return { kind: isSame ? 'same' : 'different', digest };
    } finally {
      release();
    }
  }
}

/** Whether a verdict makes its row due. A row that waits for a worker already is left as it is. */
export function isWork(verdict: Verdict, row: Row | undefined): boolean {
  if (!row) return verdict.kind !== 'absent';
  // A held removal waits for a person, unless the primary has the reference again, or the secondary has not.
  if (row.isHeld) return verdict.kind !== 'surplus';
  // The secondary would refuse the same manifest again.
  if (row.state === 'unsupported' && verdict.kind === 'different') return verdict.digest !== row.primaryDigest;
  if (row.state === 'unsupported') return verdict.kind !== 'unclear';
  return row.state === 'synced' && !(verdict.kind === 'same' && verdict.digest === row.primaryDigest);
}
