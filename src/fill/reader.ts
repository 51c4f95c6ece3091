// A reader of a flight: at its own pace, from any byte, waiting for nothing that is already there.
import { Readable } from 'node:stream';
import type { Flight } from './flight.ts';
import { SourceFailed } from './source.ts';

/** What a reader wants: from `start` to `end` inclusive; without an end, to the blob's. */
export interface ReaderOptions {
  readonly start?: number;
  readonly end?: number | undefined;
}

// What a reader holds in memory at once, twice at the most: one chunk on its way, one read ahead.
const CHUNK = 256 * 1024;

/** A stream of a flight's bytes. It ends only when all of them were given; else it is destroyed with the reason. */
export class FlightReader extends Readable {
  readonly #flight: Flight;
  readonly #start: number;
  readonly #end: number | undefined;
  readonly #left = new AbortController();
  readonly #isHolding: boolean;
  #position: number;
  #wake: (() => void) | undefined;
  #onward: AsyncGenerator<Buffer> | undefined;

  constructor(flight: Flight, { start = 0, end }: ReaderOptions = {}) {
    super({ highWaterMark: CHUNK });
    this.#flight = flight;
    this.#start = start;
    this.#position = start;
    this.#end = end;
    this.#isHolding = flight.hold();
    if (!this.#isHolding) this.destroy(new SourceFailed('the spool file is gone'));
  }

  override _read(): void {
    this.#next().then(
      (chunk) => {
        if (!this.destroyed) this.push(chunk);
      },
      (error: Error) => this.destroy(error),
    );
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#left.abort(new SourceFailed('the reader left'));
    this.#wake?.();
    if (this.#isHolding) void this.#flight.release();
    callback(error);
  }

  async #next(): Promise<Buffer | null> {
    const flight = this.#flight;
    for (;;) {
      if (this.destroyed || (this.#end !== undefined && this.#position > this.#end)) return null;
      // First of all: of bytes that turned out wrong nobody gets more, whatever part was asked for.
      if (flight.state === 'failed') throw flight.error ?? new SourceFailed('failed');
      const limit = Math.min(flight.visible, this.#end === undefined ? Infinity : this.#end + 1);
      if (this.#position < limit) return this.#spooled(limit);
      if (flight.state === 'whole') return null;
      if (flight.state === 'spilled') return this.#fromPrimary();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        flight.onProgress(resolve);
      });
    }
  }

  async #spooled(limit: number): Promise<Buffer> {
    const bytes = await this.#flight.read(this.#position, Math.min(CHUNK, limit - this.#position));
    if (bytes.length === 0) throw new SourceFailed('the spool file is shorter than it was');
    this.#position += bytes.length;
    return bytes;
  }

  async #fromPrimary(): Promise<Buffer | null> {
    this.#onward ??= this.#rest();
    const { done, value } = await this.#onward.next();
    return done ? null : value;
  }

  /** What the spool did not take. Who reads a part only can't check it: its client, who asked for that part, must. */
  #rest(): AsyncGenerator<Buffer> {
    const { size, edge } = this.#flight;
    const end = this.#end === size! - 1 ? undefined : this.#end;
    return this.#flight.rest({
      from: this.#position,
      until: end === undefined ? size : end + 1,
      isChecked: this.#start === 0 && end === undefined && this.#position === edge,
      signal: this.#left.signal,
    });
  }
}
