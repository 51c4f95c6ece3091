// How fast bytes come: over the last seconds, for the status page; and of one piece, since its second chunk.

// A sample that is older (ms) is replaced by a newer one.
const WINDOW = 3_000;

/** The speed of one transfer, measured between calls of {@link look}. */
export class Speed {
  #from: { readonly at: number; readonly bytes: number } | undefined;
  #next: { readonly at: number; readonly bytes: number } | undefined;

  /** Bytes a second since an earlier look; at the first look, since the start. */
  look(bytes: number, now: number, startedAt: number): number {
    this.#from ??= { at: startedAt, bytes: 0 };
    this.#next ??= { at: now, bytes };
    if (now - this.#next.at >= WINDOW) {
      this.#from = this.#next;
      this.#next = { at: now, bytes };
    }
    const time = now - this.#from.at;
    return time <= 0 ? 0 : Math.round(Math.max(0, bytes - this.#from.bytes) / (time / 1_000));
  }
}

/** The speed of one piece. */
export class PieceSpeed {
  #since: number | undefined;
  #bytes = 0;

  add(bytes: number): void {
    if (this.#since === undefined) this.#since = performance.now();
    else this.#bytes += bytes;
  }

  /** Milliseconds until so many more bytes are there. */
  timeFor(bytes: number): number {
    return this.#bytes === 0 ? Infinity : ((performance.now() - this.#since!) / this.#bytes) * bytes;
  }
}
