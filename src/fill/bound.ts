// The bound of a blob whose end the primary does not tell: what its manifest says, and in any case what we take.
import type { Answer } from '../registry/answer.ts';
import type { BlobBody } from '../registry/blob.ts';
import { Overlong } from './digest-mismatch.ts';
import { SourceFailed } from './source.ts';

/** How many bytes a blob may have. */
export interface Bound {
  /** As far as is known without a question. */
  readonly bytes: number;
  /** Asked once when more came: the bound by the primary's word. Rejects with {@link Overlong} where more came than that. */
  raise(received: number): Promise<number>;
}

/** What a bound is made of. */
export interface BoundDeps {
  /** What is said of the blob's size by manifests, which anybody may write, or proof. */
  readonly claimed: number | undefined;
  /** The most that is taken of any blob. */
  readonly max: number;
  /** Asks the primary for the size. */
  readonly head: () => Promise<Answer<{ readonly size?: number }>>;
  readonly onOverlong: () => void;
}

/** @see Bound */
export function createBound({ claimed = Infinity, max, head, onOverlong }: BoundDeps): Bound {
  const bytes = Math.min(claimed, max);

  /** A manifest may say too little: the primary's own word is then the bound. */
  async function told(): Promise<number> {
    if (bytes === max) return max;
    const answer = await head();
    if (answer.kind !== 'found') throw new SourceFailed(`more than ${bytes} bytes came, and its size cannot be asked`);
    return Math.min(max, Math.max(bytes, answer.value.size ?? 0));
  }

  return {
    bytes,
    async raise(received) {
      const most = await told();
      if (received <= most) return most;
      onOverlong();
      throw new Overlong(most);
    },
  };
}

/** A body as it was opened, or the refusal of one that says itself to be of a blob larger than `max` bytes. */
export function withinMax(answer: Answer<BlobBody>, max: number): Answer<BlobBody> {
  if (answer.kind !== 'found' || (answer.value.size ?? 0) <= max) return answer;
  answer.value.body.destroy();
  return { kind: 'too-large' };
}
