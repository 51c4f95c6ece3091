// Pieces of a blob: which bytes still have to be requested, and which have been received.

/** Bytes from `from` up to, and without, `until`. */
export interface Piece {
  readonly from: number;
  readonly until: number;
}

/** What still has to be requested, in the order of the blob. */
export class Todo {
  readonly #pieces: Piece[];

  constructor(all: Piece) {
    this.#pieces = all.from < all.until ? [all] : [];
  }

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Takes the first piece, of at most `length` bytes; undefined where nothing is left. */
  take(length: number): Piece | undefined {
    const first = this.#pieces.shift();
    if (!first || first.until - first.from <= length) return first;
    const border = first.from + length;
    this.#pieces.unshift({ from: border, until: first.until });
    return { from: first.from, until: border };
  }

  /** Puts a piece back that could not be fetched. */
  giveBack(piece: Piece): void {
    if (piece.from >= piece.until) return;
    const behind = this.#pieces.findIndex(({ from }) => from > piece.from);
    this.#pieces.splice(behind < 0 ? this.#pieces.length : behind, 0, piece);
  }
}

/** What has been received; several connections bring bytes at several positions. */
export class Received {
  /** Sorted, with gaps between them: about as many as connections. */
  readonly #pieces: Piece[] = [];

  add({ from, until }: Piece): void {
    const touched = this.#pieces.filter((piece) => piece.from <= until && from <= piece.until);
    const merged = {
      from: Math.min(from, ...touched.map((piece) => piece.from)),
      until: Math.max(until, ...touched.map((piece) => piece.until)),
    };
    const at = this.#pieces.findIndex((piece) => piece.until >= from);
    this.#pieces.splice(at < 0 ? this.#pieces.length : at, touched.length, merged);
  }

  /** The first byte at or after `position` that has not been received. */
  endFrom(position: number): number {
    return this.#around(position)?.until ?? position;
  }

  /** Whether a byte has been received, or is at most `distance` bytes after one that has. */
  isNear(position: number, distance: number): boolean {
    return this.#pieces.some(({ from, until }) => from <= position && position <= until + distance);
  }

  #around(position: number): Piece | undefined {
    return this.#pieces.find(({ from, until }) => from <= position && position < until);
  }
}
