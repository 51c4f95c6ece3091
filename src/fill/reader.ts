// A reader of a flight: at its own pace, from any byte, waiting for nothing that is already there.
import { Readable, type Writable } from 'node:stream';
import { takenAtLeast, type LeastRate } from '../lib/least-rate.ts';
import { pump } from '../lib/pump.ts';
import type { Flight } from './flight.ts';
import { SourceFailed } from './source.ts';

/** What a reader wants: from `start` to `end` inclusive; without an end, to the blob's. */
export interface ReaderOptions {
  readonly start?: number;
  readonly end?: number | undefined;
}

/** How slow a reader may be that goes on from the primary by itself; any where absent. */
export interface ReaderLimit {
  readonly leastRate: LeastRate;
  readonly onTooSlow: (reader: Readable) => void;
}

// What a reader holds in memory at once, twice at the most: one chunk on its way, one read ahead.
const CHUNK = 128 * 1024;

/** A stream of a flight's bytes. It ends only when all of them were given; else it is destroyed with the reason. */
export class FlightReader extends Readable {
  readonly #flight: Flight;
  readonly #start: number;
  readonly #end: number | undefined;
  readonly #left = new AbortController();
  readonly #isHolding: boolean;
  /** Who reads all gets only what was hashed: where the spool ends early, the hash goes on from there. */
  readonly #isPart: boolean;
  readonly #limit: ReaderLimit | undefined;
  #position: number;
  #isPumped = false;
  #wake: (() => void) | undefined;
  #onward: AsyncGenerator<Buffer> | undefined;

  constructor(flight: Flight, { start = 0, end }: ReaderOptions = {}, limit?: ReaderLimit) {
    super({ highWaterMark: CHUNK });
    this.#limit = limit;
    this.#flight = flight;
    this.#start = start;
    this.#position = start;
    this.#end = end;
    this.#isPart = start > 0 || end !== undefined;
    this.#isHolding = flight.hold();
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
    if (this.#isHolding) void this.#flight.release();
    callback(error);
  }

  async #next(buffer: Buffer): Promise<Buffer | null> {
    const flight = this.#flight;
    for (;;) {
      if (this.destroyed || (this.#end !== undefined && this.#position > this.#end)) return null;
      // First of all: of bytes that turned out wrong nobody gets more, whatever part was asked for.
      if (flight.state === 'failed') throw flight.error ?? new SourceFailed('failed');
      const visible = this.#isPart ? flight.visibleFrom(this.#position) : flight.visible;
      const limit = Math.min(visible, this.#end === undefined ? Infinity : this.#end + 1);
      if (this.#position < limit) return this.#spooled(buffer, limit);
      if (flight.state === 'whole') return null;
      if (flight.state === 'spilled') return this.#fromPrimary();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        flight.onProgress(resolve);
      });
    }
  }

  async #spooled(buffer: Buffer, limit: number): Promise<Buffer> {
    const bytes = await this.#flight.read(this.#position, buffer.subarray(0, limit - this.#position));
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
    const rest = this.#flight.rest({
      from: this.#position,
      until: end === undefined ? size : end + 1,
      isChecked: this.#start === 0 && end === undefined && this.#position === edge,
      signal: this.#left.signal,
    });
    if (!this.#limit) return rest;
    const { leastRate, onTooSlow } = this.#limit;
    return takenAtLeast(rest, leastRate, () => onTooSlow(this));
  }
}
