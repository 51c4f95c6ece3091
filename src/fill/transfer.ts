// A transfer: all bytes of one blob over one connection, or a large one's over several that fetch a piece each.
import { unlessAborted } from '../lib/abort.ts';
import type { Answer } from '../registry/answer.ts';
import type { BlobBody } from '../registry/blob.ts';
import { Todo, type Piece } from './pieces.ts';
import { GaveWay, readSource, type OpenAt, type SourceOptions } from './source.ts';
import type { Turn } from './turn.ts';

/** How large blobs are fetched; sizes in bytes. */
export interface PartsOptions {
  /** Connections for one blob. */
  readonly connections: number;
  /** What one of them fetches at a time; as much is asked of a blob whose size is not known. */
  readonly size: number;
  /** Smaller blobs come over one connection. */
  readonly above: number;
}

/** {@link PartsOptions} unless others are given. */
export const PARTS: PartsOptions = { connections: 4, size: 8 * 1024 * 1024, above: 32 * 1024 * 1024 };

/** What a transfer needs. */
export interface TransferDeps extends Pick<
  SourceOptions,
  'onBytes' | 'onResume' | 'pace' | 'patience' | 'bound' | 'turn' | 'rates'
> {
  readonly open: OpenAt;
  /** Takes a slot for one more connection, if there is one to spare; gives the function that gives it back. */
  readonly more: () => (() => void) | undefined;
  /** Takes a free slot for the moment in which one piece ends and the next is asked for. */
  readonly early: () => (() => void) | undefined;
  /** Takes bytes; false where no more are wanted. */
  readonly take: (chunk: Buffer, position: number) => Promise<boolean>;
  readonly signal: AbortSignal;
}

// A connection that is alone asks for so many pieces at once: each request costs a round trip.
const ALONE = 4;
const ALIGNED = 64 * 1024;

/** A piece's length such that several connections that begin together end together. */
function lengthOf(rest: number, { connections, size }: PartsOptions): number {
  // The first piece is on its way already.
  const rounds = Math.ceil((Math.ceil(rest / size) + 1) / connections);
  return Math.ceil(rest / Math.max(1, rounds * connections - 1) / ALIGNED) * ALIGNED;
}

/** As `open`, but a body that begins elsewhere than was asked is no answer: nobody is to throw bytes away for a piece. */
function exactly(open: OpenAt): OpenAt {
  return async (position, until): Promise<Answer<BlobBody>> => {
    const answer = await open(position, until);
    if (answer.kind !== 'found' || answer.value.start === position) return answer;
    answer.value.body.destroy();
    return { kind: 'unsatisfiable' };
  };
}

/** How one connection asks, and what it does when others wait for its slot. */
interface Line {
  readonly open: OpenAt;
  readonly rereads: boolean;
  readonly turn: Turn | undefined;
}

/** The turn of a helping connection: it ends instead of passing. */
function endingTurn(turn: Turn): Turn {
  return {
    isWanted: () => turn.isWanted(),
    offer: (giveWay) => turn.offer(giveWay),
    pass: () => Promise.reject(new GaveWay()),
  };
}

/** A piece that is asked for before the one before it has ended. */
interface Early {
  readonly piece: Piece;
  /** Never rejects. */
  readonly body: Promise<BlobBody | undefined>;
  readonly giveBack: () => void;
}

/** How fast one body comes, since its first bytes. */
function createSpeed(): { add(bytes: number): void; timeFor(bytes: number): number } {
  let since: number | undefined;
  let received = 0;
  return {
    add(bytes) {
      if (since === undefined) since = performance.now();
      else received += bytes;
    },
    timeFor: (bytes) => (received === 0 ? Infinity : ((performance.now() - since!) / received) * bytes),
  };
}

/** Several connections for one blob: the first is the transfer's own, the others come and go as there are slots. */
class Parts {
  readonly #deps: TransferDeps;
  /** The transfer's own connection, and each of the others: they end rather than wait, and their piece is the first's. */
  readonly #own: Line;
  readonly #other: Line;
  readonly #size: number;
  readonly #todo: Todo;
  readonly #length: number;
  readonly #connections: number;
  readonly #halt = new AbortController();
  readonly #others = new Set<Promise<void>>();
  /** Whether others may help: not where ranges turned out not to be what they should be. */
  #isShared: boolean;
  #isWanted = true;
  /** How long (ms) the last answer took to its headers. */
  #latency = 0;

  constructor(deps: TransferDeps, { from, until }: Piece, options: PartsOptions) {
    this.#deps = deps;
    const open: OpenAt = async (...given) => {
      const askedAt = performance.now();
      const answer = await deps.open(...given);
      this.#latency = performance.now() - askedAt;
      return answer;
    };
    const { turn } = deps;
    this.#own = { open, rereads: true, turn };
    this.#other = { open: exactly(open), rereads: false, turn: turn && endingTurn(turn) };
    this.#size = until;
    this.#todo = new Todo({ from, until });
    this.#length = lengthOf(until - from, options);
    this.#connections = options.connections;
    this.#isShared = until >= options.above;
  }

  /** Brings all; false when no more is wanted. @throws SourceFailed */
  async run(first: BlobBody, firstPiece: Piece): Promise<boolean> {
    const { signal } = this.#deps;
    const stop = (): void => this.#halt.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      await this.#lead(first, firstPiece);
      return this.#isWanted;
    } catch (error) {
      // One of the others heard that no more is wanted, and stopped this one, too.
      if (!this.#isWanted) return false;
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
      this.#halt.abort();
      await Promise.all(this.#others);
    }
  }

  /** The transfer's own connection: whatever the others cannot bring it does. */
  async #lead(first: BlobBody, firstPiece: Piece): Promise<void> {
    let body: BlobBody | undefined = first;
    for (let piece: Piece | undefined = firstPiece; ; piece = this.#next()) {
      this.#share();
      if (piece) await this.#bringOn(piece, this.#own, body);
      else if (this.#others.size > 0) await Promise.race(this.#others);
      else return;
      body = undefined;
      if (!this.#isWanted) return;
    }
  }

  #next(): Piece | undefined {
    if (!this.#isShared) return this.#todo.take(Infinity);
    return this.#todo.take(this.#others.size > 0 ? this.#length : ALONE * this.#length);
  }

  /** Has others help, as far as there are slots. */
  #share(): void {
    while (this.#isShared && !this.#todo.isEmpty && this.#others.size < this.#connections - 1) {
      if (this.#halt.signal.aborted) return;
      const giveBack = this.#deps.more();
      if (!giveBack) return;
      const other = this.#help(this.#todo.take(this.#length)!).finally(() => {
        this.#others.delete(other);
        giveBack();
        this.#share();
      });
      this.#others.add(other);
    }
  }

  async #help(piece: Piece): Promise<void> {
    try {
      await this.#bringOn(piece, this.#other);
    } catch (error) {
      // What it did not bring the first connection will, which says what is wrong, if it is.
      if (!(error instanceof GaveWay)) this.#isShared = false;
    }
  }

  /** Brings a piece, and those behind it as long as they could be asked for in time. */
  async #bringOn(piece: Piece, line: Line, first?: BlobBody): Promise<void> {
    let next = await this.#bring(piece, line, first);
    while (next) next = await this.#bring(next.piece, line, await next.body);
  }

  /** Brings one piece; gives the next where that was asked for meanwhile. */
  async #bring({ from, until }: Piece, { open, rereads, turn }: Line, first?: BlobBody): Promise<Early | undefined> {
    const { take, onBytes, onResume, pace, patience, rates } = this.#deps;
    const { signal } = this.#halt;
    const how = { size: this.#size, onBytes, onResume, pace, patience, rates, rereads, turn, signal };
    const source = readSource(first, open, { from, until, ...how });
    const speed = createSpeed();
    let position = from;
    let next: Early | undefined;
    let isDone = false;
    try {
      for await (const chunk of source) {
        if (!(await take(chunk, position))) {
          this.#isWanted = false;
          this.#halt.abort();
          return undefined;
        }
        position += chunk.length;
        speed.add(chunk.length);
        if (speed.timeFor(until - position) <= this.#latency) next ??= this.#askEarly(open);
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

  /** Asks for the next piece when the last bytes of the one before it are on their way, if there is a slot for both. */
  #askEarly(open: OpenAt): Early | undefined {
    const giveBack = this.#isShared && !this.#todo.isEmpty ? this.#deps.early() : undefined;
    const piece = giveBack && this.#next();
    if (!piece) return undefined;
    const { signal } = this.#halt;
    const until = piece.until === this.#size ? undefined : piece.until;
    const body = unlessAborted(open(piece.from, until), signal, (late) => {
      if (late.kind === 'found') late.value.body.destroy();
    }).then(
      // Whatever else it says is asked again in its turn.
      (answer) => (answer.kind === 'found' ? answer.value : undefined),
      () => undefined,
    );
    return { piece, body, giveBack };
  }
}

/**
 * Brings all bytes of a blob whose first body is open; what that leaves, it is a part then, comes over several
 * connections. False when no more is wanted. @throws SourceFailed
 */
export async function transfer(first: BlobBody, deps: TransferDeps, options: PartsOptions = PARTS): Promise<boolean> {
  const { size, end } = first;
  if (size !== undefined && end !== undefined && end + 1 < size) {
    const border = end + 1;
    return new Parts(deps, { from: border, until: size }, options).run(first, { from: 0, until: border });
  }
  let position = 0;
  for await (const chunk of readSource(first, deps.open, { ...deps, from: 0, until: size, size })) {
    if (!(await deps.take(chunk, position))) return false;
    position += chunk.length;
  }
  return true;
}
