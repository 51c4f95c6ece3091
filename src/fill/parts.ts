// A large blob over several connections that fetch a piece each: the first is the transfer's own, and helpers come and go
// as there are slots.
import { unlessAborted } from '../lib/abort.ts';
import type { Answer } from '../registry/answer.ts';
import type { BlobBody } from '../registry/blob.ts';
import type { ConnectionSlot } from './connection-slot.ts';
import { Todo, type Piece } from './pieces.ts';
import { discard, readSource, type OpenAt } from './source.ts';
import { GaveWay } from './source-errors.ts';
import { PieceSpeed } from './speed.ts';
import type { PartsOptions, TransferDeps } from './transfer.ts';

// Without helpers the first connection requests this many pieces at once: each request costs a round trip.
const ALONE = 4;
const ALIGNED = 64 * 1024;

/** A length of pieces with which several connections that begin together end together. */
function pieceLength(rest: number, { connections, size }: PartsOptions): number {
  // The first piece has been requested already.
  const rounds = Math.ceil((Math.ceil(rest / size) + 1) / connections);
  return Math.ceil(rest / Math.max(1, rounds * connections - 1) / ALIGNED) * ALIGNED;
}

/** How one connection requests its pieces. */
interface Connection {
  readonly open: OpenAt;
  readonly rereads: boolean;
  readonly slot: ConnectionSlot;
}

/**
 * A helper does not wait for a slot and does not read bytes that it has to skip: it ends, and its piece is left to
 * others.
 */
function helperOf({ open, slot }: Connection): Connection {
  return {
    async open(position, until): Promise<Answer<BlobBody>> {
      const answer = await open(position, until);
      if (answer.kind !== 'found' || answer.value.start === position) return answer;
      answer.value.body.destroy();
      return { kind: 'unsatisfiable' };
    },
    rereads: false,
    slot: {
      isWanted: () => slot.isWanted(),
      offer: (giveWay) => slot.offer(giveWay),
      pass: () => Promise.reject(new GaveWay()),
    },
  };
}

/** A piece that is requested before the one before it has ended. */
interface EarlyPiece {
  readonly piece: Piece;
  /** Never rejects; undefined where the request has to be repeated. */
  readonly body: Promise<BlobBody | undefined>;
  readonly giveBack: () => void;
}

/** The transfer of one large blob. */
export class Parts {
  readonly #deps: TransferDeps;
  readonly #first: Connection;
  readonly #helper: Connection;
  readonly #border: number;
  readonly #size: number;
  readonly #todo: Todo;
  readonly #length: number;
  readonly #halt = new AbortController();
  readonly #helpers = new Set<Promise<void>>();
  /** Whether helpers may be used: not after a range was answered with anything but that range. */
  #isShared: boolean;
  #isWanted = true;
  /** How long (ms) the last answer took to its headers. */
  #latency = 0;

  /** The first body ends at byte `border` of `size`. */
  constructor(deps: TransferDeps, border: number, size: number) {
    this.#deps = deps;
    const open: OpenAt = async (...given) => {
      const requestedAt = performance.now();
      const answer = await deps.source.open(...given);
      this.#latency = performance.now() - requestedAt;
      return answer;
    };
    this.#first = { open, rereads: true, slot: deps.slot };
    this.#helper = helperOf(this.#first);
    this.#border = border;
    this.#size = size;
    this.#todo = new Todo({ from: border, until: size });
    this.#length = pieceLength(size - border, deps.parts);
    this.#isShared = size >= deps.parts.above;
  }

  /** Brings all; false when no more is wanted. @throws SourceFailed */
  async run(body: BlobBody): Promise<boolean> {
    const { signal } = this.#deps;
    const stop = (): void => this.#halt.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      await this.#runFirst(body);
      return this.#isWanted;
    } catch (error) {
      // A helper that learned that no more is wanted has stopped this connection, too.
      if (!this.#isWanted) return false;
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
      this.#halt.abort();
      await Promise.all(this.#helpers);
    }
  }

  /** The transfer's own connection: it also brings what helpers could not. */
  async #runFirst(first: BlobBody): Promise<void> {
    let body: BlobBody | undefined = first;
    for (let piece: Piece | undefined = { from: 0, until: this.#border }; ; piece = this.#next()) {
      this.#startHelpers();
      if (piece) await this.#bringFrom(piece, this.#first, body);
      else if (this.#helpers.size > 0) await Promise.race(this.#helpers);
      else return;
      body = undefined;
      if (!this.#isWanted) return;
    }
  }

  #next(): Piece | undefined {
    if (!this.#isShared) return this.#todo.take(Infinity);
    return this.#todo.take(this.#helpers.size > 0 ? this.#length : ALONE * this.#length);
  }

  #startHelpers(): void {
    while (this.#isShared && !this.#todo.isEmpty && this.#helpers.size < this.#deps.parts.connections - 1) {
      if (this.#halt.signal.aborted) return;
      const giveBack = this.#deps.source.addConnection();
      if (!giveBack) return;
      const helper = this.#help(this.#todo.take(this.#length)!).finally(() => {
        this.#helpers.delete(helper);
        giveBack();
        this.#startHelpers();
      });
      this.#helpers.add(helper);
    }
  }

  async #help(piece: Piece): Promise<void> {
    try {
      await this.#bringFrom(piece, this.#helper);
    } catch (error) {
      // The first connection requests the rest of this piece; if something is wrong, that request shows it.
      if (!(error instanceof GaveWay)) this.#isShared = false;
    }
  }

  /** Brings a piece, and those after it that could be requested early. */
  async #bringFrom(piece: Piece, connection: Connection, first?: BlobBody): Promise<void> {
    let next = await this.#bring(piece, connection, first);
    while (next) next = await this.#bring(next.piece, connection, await next.body);
  }

  /** Brings one piece; gives the next if that was requested meanwhile. */
  async #bring(piece: Piece, connection: Connection, first?: BlobBody): Promise<EarlyPiece | undefined> {
    const { take, source } = this.#deps;
    const { open, rereads, slot } = connection;
    const { from, until } = piece;
    const how = { ...source.reading, from, until, size: this.#size, rereads, slot, signal: this.#halt.signal };
    const speed = new PieceSpeed();
    let position = from;
    let next: EarlyPiece | undefined;
    let isDone = false;
    try {
      for await (const chunk of readSource(first, open, how)) {
        if (!(await take(chunk, position))) {
          this.#isWanted = false;
          this.#halt.abort();
          return undefined;
        }
        position += chunk.length;
        speed.add(chunk.length);
        if (speed.timeFor(until - position) <= this.#latency) next ??= this.#requestEarly(open);
      }
      isDone = true;
      return next;
    } finally {
      this.#todo.giveBack({ from: position, until });
      next?.giveBack();
      if (next && !isDone) {
        this.#todo.giveBack(next.piece);
        void next.body.then((body) => body?.body.destroy());
      }
    }
  }

  /** Requests the next piece while the last bytes of one are on their way, if there is a slot for both. */
  #requestEarly(open: OpenAt): EarlyPiece | undefined {
    const giveBack = this.#isShared && !this.#todo.isEmpty ? this.#deps.source.takeFreeSlot() : undefined;
    const piece = giveBack && this.#next();
    if (!piece) return undefined;
    const until = piece.until === this.#size ? undefined : piece.until;
    const body = unlessAborted(open(piece.from, until), this.#halt.signal, discard).then(
      (answer) => (answer.kind === 'found' ? answer.value : undefined),
      () => undefined,
    );
    return { piece, body, giveBack };
  }
}
