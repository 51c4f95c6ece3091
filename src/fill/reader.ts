// A reader of a fill: reads from any byte, at its own pace, whatever is in the spool.
import { Readable, type Writable } from 'node:stream';
import { takenAtLeast, type LeastRate } from '../lib/least-rate.ts';
import { pump } from '../lib/pump.ts';
import type { BlobFill } from './blob-fill.ts';
import { fromPrimary } from './pass-through.ts';
import { SourceFailed } from './source-errors.ts';

/** What a reader wants: from `start` to `end` inclusive; without an end, to the blob's. */
export interface ReaderOptions {
  readonly start?: number;
  readonly end?: number | undefined;
}

/** The least rate of a reader that continues from the primary. */
export interface ReaderLimit {
  readonly leastRate: LeastRate;
  readonly onTooSlow: (reader: Readable) => void;
}

// A reader holds two such chunks in memory at most: one that is sent, one that is read ahead.
const CHUNK = 128 * 1024;

// No reader gets the last bytes before the digest is right: a response without them is not complete.
const HELD_BACK = 1024;

/**
 * The byte after the last that may be read now. A reader of a part gets what is in the spool from `partFrom` on. A reader
 * of the whole blob gets hashed bytes only: where the spool ends early, it continues with the hash from the primary.
 */
export function visibleEnd({ state, size, spooled }: BlobFill, partFrom?: number): number {
  const edge = spooled?.edge ?? 0;
  if (state !== 'flying') return edge;
  // Where the end is not known, every byte may be one of the last.
  if (size === undefined) return Math.max(0, edge - HELD_BACK);
  return Math.max(0, Math.min(partFrom === undefined ? edge : spooled!.endFrom(partFrom), size - HELD_BACK));
}

/** A stream of a fill's bytes. It ends only when all of them were read; else it is destroyed with the reason. */
export class FillReader extends Readable {
  readonly #fill: BlobFill;
  readonly #start: number;
  readonly #end: number | undefined;
  readonly #left = new AbortController();
  readonly #isHolding: boolean;
  readonly #isPart: boolean;
  readonly #limit: ReaderLimit | undefined;
  #position: number;
  #isPumped = false;
  #wake: (() => void) | undefined;
  #onward: AsyncGenerator<Buffer> | undefined;

  constructor(fill: BlobFill, { start = 0, end }: ReaderOptions = {}, limit?: ReaderLimit) {
    super({ highWaterMark: CHUNK });
    this.#limit = limit;
    this.#fill = fill;
    this.#start = start;
    this.#position = start;
    this.#end = end;
    this.#isPart = start > 0 || end !== undefined;
    this.#isHolding = fill.hold();
    if (!this.#isHolding) this.destroy(new SourceFailed('the spool file is gone'));
  }

  /** Writes everything to a client's response through two buffers. */
  override pipe<T extends NodeJS.WritableStream>(destination: T): T {
    this.#isPumped = true;
    const buffers = [Buffer.allocUnsafeSlow(CHUNK), Buffer.allocUnsafeSlow(CHUNK)];
    let turn = 0;
    pump(this, destination as unknown as Writable, () => this.#next(buffers[(turn = 1 - turn)]!));
    return destination;
  }

  override _read(): void {
    if (this.#isPumped) return;
    this.#next(Buffer.allocUnsafe(CHUNK)).then(
      (chunk) => {
        if (!this.destroyed) this.push(chunk);
      },
      (error: Error) => this.destroy(error),
    );
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#left.abort(new SourceFailed('the reader left'));
    this.#wake?.();
    if (this.#isHolding) void this.#fill.release();
    callback(error);
  }

  async #next(buffer: Buffer): Promise<Buffer | null> {
    const fill = this.#fill;
    for (;;) {
      if (this.destroyed || (this.#end !== undefined && this.#position > this.#end)) return null;
      // Checked first: no reader gets more of wrong bytes, not even of another part.
      if (fill.state === 'failed') throw fill.error ?? new SourceFailed('failed');
      const visible = visibleEnd(fill, this.#isPart ? this.#position : undefined);
      const limit = Math.min(visible, this.#end === undefined ? Infinity : this.#end + 1);
      if (this.#position < limit) return this.#spooled(buffer, limit);
      if (fill.state === 'whole') return null;
      if (fill.state === 'spilled') return this.#fromPrimary();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        fill.spooled!.onProgress(resolve);
      });
    }
  }

  async #spooled(buffer: Buffer, limit: number): Promise<Buffer> {
    const bytes = await this.#fill.spooled!.read(this.#position, buffer.subarray(0, limit - this.#position));
    if (bytes.length === 0) throw new SourceFailed('the spool file is shorter than it was');
    this.#position += bytes.length;
    return bytes;
  }

  async #fromPrimary(): Promise<Buffer | null> {
    this.#onward ??= this.#rest();
    const { done, value } = await this.#onward.next();
    return done ? null : value;
  }

  /** What the spool does not have. The digest of a part cannot be checked. */
  #rest(): AsyncGenerator<Buffer> {
    const { size, spooled } = this.#fill;
    const end = this.#end === size! - 1 ? undefined : this.#end;
    const rest = fromPrimary(this.#fill, {
      from: this.#position,
      until: end === undefined ? size : end + 1,
      isChecked: this.#start === 0 && end === undefined && this.#position === (spooled?.edge ?? 0),
      signal: this.#left.signal,
    });
    if (!this.#limit) return rest;
    const { leastRate, onTooSlow } = this.#limit;
    return takenAtLeast(rest, leastRate, () => onTooSlow(this));
  }
}
