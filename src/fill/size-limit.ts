// The size limit of a blob: how many bytes are read of it where the primary gives no length.
import type { Answer } from '../registry/answer.ts';
import type { BlobBody } from '../registry/blob.ts';
import { Overlong, SourceFailed } from './source-errors.ts';

/** What a limit is derived from. */
export interface SizeLimitDeps {
  /** The size by a manifest, which anybody may have pushed, or by an earlier download. */
  readonly claimed: number | undefined;
  /** The largest blob that is accepted. */
  readonly max: number;
  /** Asks the primary for the size. */
  readonly head: () => Promise<Answer<{ readonly size?: number }>>;
  readonly onOverlong: () => void;
}

/** How many bytes a blob may have. */
export class SizeLimit {
  /** The limit that is known without a request. */
  readonly bytes: number;
  readonly #deps: SizeLimitDeps;

  constructor(deps: SizeLimitDeps) {
    this.#deps = deps;
    this.bytes = Math.min(deps.claimed ?? Infinity, deps.max);
  }

  /** Asks the primary for the limit after more bytes came. @throws Overlong where more came than that */
  async raise(received: number): Promise<number> {
    const limit = await this.#ask();
    if (received <= limit) return limit;
    this.#deps.onOverlong();
    throw new Overlong(limit);
  }

  /** A manifest may give a size that is too small: then the primary's own answer is the limit. */
  async #ask(): Promise<number> {
    const { bytes } = this;
    const { max, head } = this.#deps;
    if (bytes === max) return max;
    const answer = await head();
    if (answer.kind !== 'found') throw new SourceFailed(`more than ${bytes} bytes came, and its size cannot be asked`);
    return Math.min(max, Math.max(bytes, answer.value.size ?? 0));
  }
}

/** The answer itself; `too-large` where the primary gives a size above `max` bytes. */
export function withinMax(answer: Answer<BlobBody>, max: number): Answer<BlobBody> {
  if (answer.kind !== 'found' || (answer.value.size ?? 0) <= max) return answer;
  answer.value.body.destroy();
  return { kind: 'too-large' };
}
