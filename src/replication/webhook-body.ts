// Bodies of notifications: read to the end whatever their size, and kept within bounds.
import type { Readable } from 'node:stream';
import type { Rate } from '../lib/rate.ts';

// Bytes that are kept of a body that is too large.
const KEPT_MAX = 64 * 1024;

/** Larger bodies (bytes) hold many events: they are read slowly, and parsed one after the other. */
export const LARGE_BODY = 64 * 1024;

/** Counts the bytes that all bodies together hold. */
export class Holding {
  readonly #max: number;
  #held = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** False, and nothing is counted, where that would be too many. */
  take(bytes: number): boolean {
    if (this.#held + bytes > this.#max) return false;
    this.#held += bytes;
    return true;
  }

  free(bytes: number): void {
    this.#held -= bytes;
  }
}

/** The body of a notification, as far as it is kept; `free` it in the end. */
export class Body {
  readonly #max: number;
  readonly #holding: Holding;
  #chunks: Buffer[] = [];
  #size = 0;
  #held = 0;
  /** All bodies together would have held too much. */
  isRefused = false;

  constructor(max: number, holding: Holding) {
    this.#max = max;
    this.#holding = holding;
  }

  /** Reads to the end, since the sender waits for the answer only then; a large body at this rate. */
  async read(stream: Readable, rate: Rate): Promise<void> {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      this.#add(chunk);
      if (this.#size > LARGE_BODY) await rate(chunk.length);
    }
  }

  #add(chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.isRefused) return;
    if (this.isTooLarge) return this.#keepHead(chunk);
    if (this.#holding.take(chunk.length)) {
      this.#chunks.push(chunk);
      this.#held += chunk.length;
    } else {
      this.isRefused = true;
      this.free();
    }
  }

  /** More than the largest body is not kept as a whole. */
  #keepHead(chunk: Buffer): void {
    if (this.#chunks.length === 1 && this.#chunks[0]!.length === KEPT_MAX) return;
    const head = Buffer.from(Buffer.concat([...this.#chunks, chunk]).subarray(0, KEPT_MAX));
    this.free();
    this.#chunks = [head];
  }

  get isTooLarge(): boolean {
    return this.#size > this.#max;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  free(): void {
    this.#chunks = [];
    this.#holding.free(this.#held);
    this.#held = 0;
  }
}
