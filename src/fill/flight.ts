// A flight: one transfer of one blob from the primary into a spool file, which any number of readers follow.
import type { Hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { hasherFor, matches, type Digest } from '../oci/digest.ts';
import type { BlobBody } from '../registry/blob.ts';
import { DigestMismatch } from './digest-mismatch.ts';
import { Received } from './pieces.ts';
import { heldBack, readSource, type OpenAt } from './source.ts';
import type { Spool, SpoolFile } from './spool.ts';
import { transfer, type PartsOptions, type TransferDeps } from './transfer.ts';
import type { Turn } from './turn.ts';

/**
 * `flying`: bytes come in. `whole`: all are there and have the digest. `failed`: they never will be. `spilled`: the
 * spool took no more; readers go on from the primary by themselves.
 */
export type FlightState = 'flying' | 'whole' | 'failed' | 'spilled';

/** What a flight is made of. */
export interface FlightDeps extends Omit<TransferDeps, 'take' | 'signal'> {
  readonly digest: Digest;
  readonly spool: Spool;
  /** Takes bytes of the spool, making room for them where it can. */
  readonly reserve: (bytes: number) => Promise<boolean>;
  /** As `open` for readers of a spilled flight, who are beside the flight's own connections, in slots of their own. */
  readonly openBeside: OpenAt;
  readonly turnBeside?: Turn | undefined;
  /** Told of all bytes that were hashed to their end whether they had the digest. */
  readonly onVerdict: (isRight: boolean) => void;
  readonly parts?: PartsOptions | undefined;
}

/** What a reader of a spilled flight takes from the primary by itself. */
export interface Rest {
  readonly from: number;
  /** The byte after the last; undefined: to the end. */
  readonly until: number | undefined;
  /** Whether the reader has had exactly the spool's bytes before, or begins with the first: all can be checked then. */
  readonly isChecked: boolean;
  /** A body that is open already. */
  readonly first?: BlobBody | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The last bytes that no reader gets before the digest is right: a response that lacks one byte is not complete, and a
 * few more cost nothing.
 */
const HELD_BACK = 1024;

// What came before its turn is read back to be hashed in so many bytes at once.
const FOLLOW_CHUNK = 256 * 1024;

/** One transfer. Made by {@link Flight.start}; followed by readers, who hold it while they read. */
export class Flight {
  readonly digest: Digest;
  /** The blob's size in bytes, where the primary says it; always known when whole. */
  size: number | undefined;
  state: FlightState = 'flying';
  /** Milliseconds since the epoch. */
  readonly startedAt = Date.now();
  /** Bytes that have come, in whatever order. */
  bytes = 0;
  /** To the primary, while it is flying. */
  connections = 1;
  /** Clients that read it now, and whether any ever did: one after that has its bytes without another transfer. */
  readers = 0;
  wasRead = false;
  /** Why the flight failed, or why the spool took no more of it. */
  error: Error | undefined;
  /** Settles when the flight ended, whatever way. */
  readonly ended: Promise<void>;

  readonly #deps: FlightDeps;
  readonly #hash: Hash;
  readonly #stop = new AbortController();
  readonly #waiting: (() => void)[] = [];
  #file: SpoolFile | undefined;
  #unclaimed: BlobBody | undefined;
  /** Up to here all bytes are in the spool and hashed. */
  #edge = 0;
  readonly #received = new Received();
  #following: Promise<void> | undefined;
  #holders = 1;

  private constructor(deps: FlightDeps, body: BlobBody | undefined, file: SpoolFile | undefined) {
    this.#deps = deps;
    this.digest = deps.digest;
    this.size = body?.size;
    this.#file = file;
    this.#hash = hasherFor(deps.digest);
    this.ended = (body ? this.#fly(body) : Promise.resolve()).finally(() => this.#wake());
  }

  /** Starts the transfer of an opened body. Where the spool has no room for it the flight begins as `spilled`. */
  static async start(deps: FlightDeps, body: BlobBody): Promise<Flight> {
    const reserved = body.size ?? 0;
    let error: Error | undefined;
    const file = (await deps.reserve(reserved))
      ? await deps.spool.create(deps.digest, reserved).catch((cause: Error) => void (error = cause))
      : undefined;
    const flight = new Flight(deps, file ? body : undefined, file ?? undefined);
    if (!file) flight.#begin(body, error);
    return flight;
  }

  /** A flight of an earlier run whose file is whole; see `isWhole` before use. */
  static landed(deps: FlightDeps, file: SpoolFile, size: number): Flight {
    const flight = new Flight(deps, undefined, file);
    flight.size = size;
    flight.#edge = flight.bytes = size;
    flight.state = 'whole';
    return flight;
  }

  /** How many bytes readers may have by now. */
  get visible(): number {
    if (this.state !== 'flying') return this.#edge;
    return Math.max(0, this.size === undefined ? this.#edge - HELD_BACK : Math.min(this.#edge, this.size - HELD_BACK));
  }

  /** Bytes that are in the spool from the first on; some beyond them may be there, too. */
  get edge(): number {
    return this.#edge;
  }

  /** The byte after the last that a reader of a part may have from `position` on, whatever is missing before. */
  visibleFrom(position: number): number {
    if (this.state !== 'flying' || this.size === undefined) return this.visible;
    return Math.min(this.#received.endFrom(position), this.size - HELD_BACK);
  }

  /** Whether a byte is in the spool, or will be as soon as `distance` more bytes come in before it. */
  isNear(position: number, distance: number): boolean {
    return position <= this.#edge + distance || this.#received.isNear(position, distance);
  }

  /** The body that a flight which began as spilled had opened, for the first who asks. */
  claim(): BlobBody | undefined {
    const body = this.#unclaimed;
    this.#unclaimed = undefined;
    return body;
  }

  /** The primary's bytes for a reader of a spilled flight. @throws DigestMismatch before the last chunk if checked. */
  async *rest({ from, until, isChecked, first, signal }: Rest): AsyncGenerator<Buffer, void, undefined> {
    const { openBeside, turnBeside: turn, onBytes, onResume, pace, patience, bound, rates } = this.#deps;
    const how = { size: this.size, onBytes, onResume, pace, patience, bound, rates, turn, signal };
    const source = readSource(first, openBeside, { from, until, ...how });
    if (!isChecked) return yield* source;
    // Whoever begins anew has had nothing of what the spool took.
    const hash = from === 0 ? hasherFor(this.digest) : this.#hash.copy();
    yield* heldBack(source, hash, () => this.#judge(hash));
  }

  /** Reads bytes that are visible into `buffer`; the answer is the part of it that was filled. */
  read(position: number, buffer: Buffer): Promise<Buffer> {
    if (!this.#file) throw new Error('the spool file is gone');
    return this.#file.read(position, buffer);
  }

  /** Calls `wake` once, when there is more to see or the state has changed. */
  onProgress(wake: () => void): void {
    this.#waiting.push(wake);
  }

  /** Whether somebody else holds the flight. */
  get isHeld(): boolean {
    return this.#holders > 1;
  }

  /** Whether the last hold was given back: nothing can be read any more. */
  get isGone(): boolean {
    return this.#holders === 0;
  }

  /** Holds the spool file, unless it is gone already; every hold is given back by {@link release}. */
  hold(): boolean {
    if (this.isGone) return false;
    this.#holders += 1;
    return true;
  }

  /** Gives a hold back; the last one removes the file, and resolves when its space is free. The filler's is the first. */
  async release(): Promise<void> {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    this.claim()?.body.destroy();
    await this.#file?.dispose();
  }

  /** Counts a client's stream among the readers until it is closed. */
  countReader(stream: Readable): void {
    this.readers += 1;
    this.wasRead = true;
    stream.once('close', () => (this.readers -= 1));
  }

  /** Marks the file as one that the next run may take up. */
  async keep(names: readonly string[]): Promise<void> {
    await this.#file?.keep(this.digest, names);
  }

  /** Removes the file, whoever holds it: the program ends. */
  async discard(): Promise<void> {
    await this.#file?.dispose();
  }

  /** Closes the file and leaves it where it is, for the next run. */
  async leave(): Promise<void> {
    await this.#file?.leave();
  }

  /** Ends the transfer: its readers fail. */
  abort(reason: Error): void {
    this.#stop.abort(reason);
  }

  #begin(unclaimed: BlobBody, error: Error | undefined): void {
    this.#unclaimed = unclaimed;
    this.size = unclaimed.size;
    this.error = error;
    this.state = 'spilled';
  }

  async #fly(body: BlobBody): Promise<void> {
    const take: TransferDeps['take'] = (chunk, position) => this.#take(chunk, position);
    try {
      const deps: TransferDeps = { ...this.#deps, take, more: () => this.#more(), signal: this.#stop.signal };
      if (!(await transfer(body, deps, this.#deps.parts))) return;
      await this.#follow();
      if (!this.#isFlying) return;
      this.#judge(this.#hash);
      this.size = this.#edge;
      this.state = 'whole';
    } catch (error) {
      this.error = error as Error;
      this.state = 'failed';
    }
  }

  #more(): (() => void) | undefined {
    const giveBack = this.#deps.more();
    if (!giveBack) return undefined;
    this.connections += 1;
    return () => {
      this.connections -= 1;
      giveBack();
    };
  }

  /** @throws DigestMismatch */
  #judge(hash: Hash): void {
    const isRight = matches(this.digest, hash);
    this.#deps.onVerdict(isRight);
    if (!isRight) throw new DigestMismatch(this.digest);
  }

  /** As a question, since the answer changes while others are waited for. */
  get #isFlying(): boolean {
    return this.state === 'flying';
  }

  /** Takes a chunk into the spool; false where the spool takes no more: the flight is spilled then. */
  async #take(chunk: Buffer, position: number): Promise<boolean> {
    this.#stop.signal.throwIfAborted();
    if (this.size === undefined) {
      if (!(await this.#deps.reserve(chunk.length))) return this.#spill(undefined);
      this.#file?.grew(chunk.length);
    }
    try {
      await this.#file?.write(chunk, position);
    } catch (error) {
      return this.#spill(error as Error);
    }
    if (!this.#isFlying) return false;
    this.bytes += chunk.length;
    this.#received.add({ from: position, until: position + chunk.length });
    if (position === this.#edge && !this.#following) {
      this.#hash.update(chunk);
      this.#edge += chunk.length;
    }
    if (this.#received.endFrom(this.#edge) > this.#edge) void this.#follow();
    this.#wake();
    return true;
  }

  /** Has the edge follow what is there: bytes that came before their turn are read back and hashed in order. */
  #follow(): Promise<void> {
    this.#following ??= this.#catchUp().finally(() => {
      this.#following = undefined;
    });
    return this.#following;
  }

  async #catchUp(): Promise<void> {
    const buffer = Buffer.allocUnsafe(FOLLOW_CHUNK);
    try {
      for (;;) {
        const ready = this.#received.endFrom(this.#edge) - this.#edge;
        if (ready === 0 || !this.#isFlying) return;
        const bytes = await this.read(this.#edge, buffer.subarray(0, ready));
        if (bytes.length === 0) throw new Error('the spool file is shorter than it was');
        this.#hash.update(bytes);
        this.#edge += bytes.length;
        this.#wake();
      }
    } catch (error) {
      this.#spill(error as Error);
    }
  }

  #spill(error: Error | undefined): false {
    if (!this.#isFlying) return false;
    this.error = error;
    this.state = 'spilled';
    return false;
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
