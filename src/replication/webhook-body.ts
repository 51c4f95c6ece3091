// Bodies of notifications: read to the end whatever their size, and kept within bounds.
import type { Readable } from 'node:stream';
import type { Rate } from '../lib/rate.ts';

// Bytes that are kept of a body that is too large.
const KEPT_MAX = 64 * 1024;

/** Larger bodies (bytes) are no single event: they come slowly, and are read one after the other. */
export const LARGE_BODY = 64 * 1024;

/** Bytes that may be held by all bodies together. */
export interface Holding {
  take(bytes: number): boolean;
  free(bytes: number): void;
}

/** @see Holding */
export function createHolding(max: number): Holding {
  let held = 0;
  return {
    take(bytes) {
      if (held + bytes > max) return false;
      held += bytes;
      return true;
    },
    free: (bytes) => void (held -= bytes),
  };
}

/** The body of a notification, as far as it is kept; `free` it in the end. */
export class Body {
  readonly #max: number;
  readonly #holding: Holding;
  #chunks: Buffer[] = [];
  #size = 0;
  #held = 0;
  /** Too much was held at once for it. */
  isRefused = false;

  constructor(max: number, holding: Holding) {
    this.#max = max;
    this.#holding = holding;
  }

  /** Reads to the end, so that the sender is there for the answer; a large body at this rate. */
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
