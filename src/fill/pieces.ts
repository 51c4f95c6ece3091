// Pieces of a blob: which of its bytes nobody fetches yet, and which are there, in whatever order they come.

/** Bytes from `from` up to, and without, `until`. */
export interface Piece {
  readonly from: number;
  readonly until: number;
}

/** What is still to be fetched, from the front to the end. */
export class Todo {
  readonly #pieces: Piece[];

  constructor(all: Piece) {
    this.#pieces = all.from < all.until ? [all] : [];
  }

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Takes the foremost piece, of at most `length` bytes; undefined where nothing is left. */
  take(length: number): Piece | undefined {
    const first = this.#pieces.shift();
    if (!first || first.until - first.from <= length) return first;
    const border = first.from + length;
    this.#pieces.unshift({ from: border, until: first.until });
    return { from: first.from, until: border };
  }

  /** Somebody could not fetch this. */
  giveBack(piece: Piece): void {
    if (piece.from >= piece.until) return;
    const behind = this.#pieces.findIndex(({ from }) => from > piece.from);
    this.#pieces.splice(behind < 0 ? this.#pieces.length : behind, 0, piece);
  }
}

/** What is there; bytes come in at several places at once. */
export class Received {
  /** Sorted, and no two of them touch: as many as there are connections, about. */
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

  /** The first byte at or after `position` that is not there. */
  endFrom(position: number): number {
    return this.#around(position)?.until ?? position;
  }

  /** Whether a byte is there, or no more than `distance` bytes behind some that are. */
  isNear(position: number, distance: number): boolean {
    return this.#pieces.some(({ from, until }) => from <= position && position <= until + distance);
  }

  #around(position: number): Piece | undefined {
    return this.#pieces.find(({ from, until }) => from <= position && position < until);
  }
}
