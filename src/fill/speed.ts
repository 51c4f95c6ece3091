// How fast bytes come, for people: over the last seconds, as often as somebody looks.

// What is older (ms) is not looked at where there is something newer.
const WINDOW = 3_000;

/** The speed of one transfer. */
export class Speed {
  #from: { readonly at: number; readonly bytes: number } | undefined;
  #next: { readonly at: number; readonly bytes: number } | undefined;

  /** Bytes a second, by what had come when somebody looked before; at the first look since the start. */
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
