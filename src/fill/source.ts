// The source of a blob: a registry's body, continued at the byte reached whenever the connection breaks.
import { unlessAborted } from '../lib/abort.ts';
import { LEAST_RATE, watchRate, watchSlow, type LeastRate, type RateWatch } from '../lib/least-rate.ts';
import type { BlobBody } from '../registry/blob.ts';
import { found, type Answer } from '../registry/answer.ts';
import type { ConnectionSlot } from './connection-slot.ts';
import { Resumption } from './resumption.ts';
import { GaveWay, Overlong, SourceFailed } from './source-errors.ts';
import type { SizeLimit } from './size-limit.ts';

/** Opens the body at a byte, up to the byte `until` where that is not its end, with a fresh token and a fresh redirect. */
export type OpenAt = (position: number, until?: number) => Promise<Answer<BlobBody>>;

/** How a source is read. */
export interface SourceOptions {
  /** The first byte that is wanted. */
  readonly from: number;
  /** The byte after the last that is wanted; undefined: to the end, wherever it is. */
  readonly until?: number | undefined;
  /** The whole blob's size in bytes: an answer with another size is of another blob. */
  readonly size?: number | undefined;
  readonly onBytes?: ((count: number) => void) | undefined;
  readonly onResume?: ((position: number, cause: unknown) => void) | undefined;
  /** Resolves when more may be read after so many bytes; this wait does not count as a slow source. */
  readonly pace?: ((count: number, signal: AbortSignal | undefined) => Promise<void>) | undefined;
  /** How many bytes there may be where the end is not known; without it any number. */
  readonly limit?: SizeLimit | undefined;
  /** The slot of its connection, which it gives up while it is slow; without it the connection is kept. */
  readonly slot?: ConnectionSlot | undefined;
  readonly rates?: SourceRates | undefined;
  /** Whether it may read all bytes before `from` again where the registry refuses a range; true by default. */
  readonly rereads?: boolean | undefined;
  /** How long (ms) it is retried without progress. */
  readonly patience?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a body has to bring in time that is spent waiting for it. */
export interface SourceRates {
  /** A body that brings less counts as broken; this many bytes count as progress. */
  readonly least: LeastRate;
  /** A body that brings less gives its slot to those who wait for one. */
  readonly shared: LeastRate;
}

/** {@link SourceRates} by default. Clients wait for a first byte, so a slow body is noticed within seconds. */
export const SOURCE_RATES: SourceRates = { least: LEAST_RATE, shared: { bytes: 16 * 1024, window: 2_000 } };

/** Destroys the body of an answer that comes too late. */
export function discard(late: Answer<BlobBody>): void {
  if (late.kind === 'found') late.value.body.destroy();
}

/** One blob that is read from `from` to `until`. */
class Source {
  readonly #open: OpenAt;
  readonly #options: SourceOptions;
  readonly #rates: SourceRates;
  #slow: RateWatch | undefined;
  #position: number;
  #until: number | undefined;
  #mostBytes: number;
  readonly #resumption: Resumption;
  #hasReread = false;
  /** The body whose next bytes are waited for. */
  #awaited: BlobBody['body'] | undefined;
  #takeBackOffer: (() => void) | undefined;

  constructor(open: OpenAt, options: SourceOptions) {
    const { from, until, limit, rates = SOURCE_RATES } = options;
    this.#open = open;
    this.#options = options;
    this.#rates = rates;
    this.#position = from;
    this.#until = until;
    this.#mostBytes = limit?.bytes ?? Infinity;
    this.#resumption = new Resumption(options, rates.least.bytes);
  }

  async *read(first: BlobBody | undefined): AsyncGenerator<Buffer, void, undefined> {
    const { signal, slot, rereads = true } = this.#options;
    // Slowness is measured over all bodies of the blob, since it is the primary's.
    this.#slow =
      slot &&
      watchSlow(this.#rates.shared, () => this.#awaited !== undefined, {
        onSlow: () => (this.#takeBackOffer ??= slot.offer(() => this.#awaited?.destroy(new GaveWay()))),
        onBytes: () => this.#endOffer(),
      });
    let next: Answer<BlobBody> | undefined = first && found(first);
    try {
      for (;;) {
        const answer: Answer<BlobBody> = next ?? (await this.#reopen());
        next = undefined;
        let cause: unknown;
        if (answer.kind === 'found') {
          const { value } = answer;
          this.#checkSize(value);
          const before = this.#position;
          cause = yield* this.#bytesOf(value);
          // Where the size is not known, the end of the body is the end of the blob.
          if (this.#until === undefined ? cause === undefined : this.#position === this.#until) return;
          this.#until ??= value.size;
          // A part that came completely: the next part follows.
          if (cause === undefined && this.#position > before && this.#position - 1 === value.end) continue;
        } else {
          // Where the size is not known, a range beyond the last byte shows the end.
          if (answer.kind === 'unsatisfiable' && this.#until === undefined) return;
          if (answer.kind === 'unsatisfiable' && rereads && !this.#hasReread) {
            // The registry does not take ranges any more: the whole blob is read again up to the byte reached.
            this.#hasReread = true;
            next = await unlessAborted(this.#open(0), signal, discard);
            continue;
          }
          cause = new SourceFailed(answer.kind === 'unavailable' ? answer.reason : answer.kind);
          // What the primary says about the blob itself is final.
          if (answer.kind !== 'unavailable' && answer.kind !== 'busy') throw cause;
        }
        await this.#resumption.pauseAfter(cause, this.#position);
      }
    } finally {
      this.#slow?.stop();
    }
  }

  /** Gives one body's bytes from the position on; returns why it broke, undefined when it came to its own end. */
  async *#bytesOf({ body, start, end = Infinity }: BlobBody): AsyncGenerator<Buffer, unknown, undefined> {
    const { signal, pace, limit } = this.#options;
    const stop = (): void => void body.destroy();
    // Bytes beyond the end that the registry has named are not the blob's.
    const stopAt = Math.min(this.#until ?? Infinity, end + 1);
    this.#awaited = body;
    const isAwaited = (): boolean => this.#awaited !== undefined;
    const least = watchRate(this.#rates.least, isAwaited, () => body.destroy(new SourceFailed('too slow')));
    signal?.addEventListener('abort', stop);
    try {
      if (start > this.#position) return new SourceFailed(`asked for byte ${this.#position}, got byte ${start}`);
      let at = start;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        this.#awaited = undefined;
        least.count(chunk.length);
        this.#slow?.count(chunk.length);
        // A registry may ignore a range: bytes before the position are skipped.
        const wanted = chunk.subarray(Math.max(0, this.#position - at), Math.max(0, stopAt - at));
        at += chunk.length;
        if (wanted.length > 0) {
          this.#count(wanted.length);
          if (this.#until === undefined && this.#position > this.#mostBytes)
            this.#mostBytes = await limit!.raise(this.#position);
          yield wanted;
          await pace?.(wanted.length, signal);
        }
        // A body that ends here is read to its end, so that its connection can be used again.
        if (at > stopAt || (at === stopAt && end !== at - 1)) break;
        this.#awaited = body;
      }
      return undefined;
    } catch (error) {
      if (error instanceof Overlong) throw error;
      return error;
    } finally {
      this.#awaited = undefined;
      this.#endOffer();
      least.stop();
      signal?.removeEventListener('abort', stop);
      body.destroy();
    }
  }

  #count(bytes: number): void {
    this.#position += bytes;
    this.#resumption.count(bytes);
    this.#options.onBytes?.(bytes);
  }

  #checkSize(opened: BlobBody): void {
    const { size } = this.#options;
    if (opened.size === undefined) return;
    const least = Math.max(this.#position, this.#until ?? 0);
    if (size === undefined ? opened.size >= least : opened.size === size) return;
    opened.body.destroy();
    throw new SourceFailed('the blob’s size changed');
  }

  async #reopen(): Promise<Answer<BlobBody>> {
    const { signal, size } = this.#options;
    const until = this.#until === size ? undefined : this.#until;
    try {
      return await unlessAborted(this.#open(this.#position, until), signal, discard);
    } catch (error) {
      throw new SourceFailed(signal?.aborted ? 'stopped' : 'cannot be opened', error);
    }
  }

  #endOffer(): void {
    this.#takeBackOffer?.();
    this.#takeBackOffer = undefined;
  }
}

/**
 * The bytes from `from` to `until`, resumed as long as there is progress; `first` is a body that is open already.
 * @throws SourceFailed when it cannot continue: the blob is gone or has another size, there is no progress for too long,
 * or `signal` is aborted; Overlong.
 */
export function readSource(
  first: BlobBody | undefined,
  open: OpenAt,
  options: SourceOptions,
): AsyncGenerator<Buffer, void, undefined> {
  return new Source(open, options).read(first);
}
