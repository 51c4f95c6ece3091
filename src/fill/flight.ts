// A flight: one transfer of one blob from the primary into a spool file, which any number of readers follow.
import type { Hash } from 'node:crypto';
import { hasherFor, matches, type Digest } from '../oci/digest.ts';
import type { Answer } from '../registry/answer.ts';
import type { BlobBody } from '../registry/blob.ts';
import { readSource, type OpenAt } from './source.ts';
import type { Spool, SpoolFile } from './spool.ts';

/**
 * `flying`: bytes come in. `whole`: all are there and have the digest. `failed`: they never will be. `spilled`: the
 * spool took no more; readers go on from the primary by themselves.
 */
export type FlightState = 'flying' | 'whole' | 'failed' | 'spilled';

/** The bytes did not have the digest that they were asked by. */
export class DigestMismatch extends Error {
  constructor(digest: Digest) {
    super(`the primary's bytes are not ${digest}`);
    this.name = 'DigestMismatch';
  }
}

/** Passes chunks on one behind, so that the last goes out only when the digest is right. @throws DigestMismatch */
export async function* verified(
  source: AsyncIterable<Buffer>,
  hash: Hash,
  digest: Digest,
): AsyncGenerator<Buffer, void, undefined> {
  let held: Buffer | undefined;
  for await (const chunk of source) {
    hash.update(chunk);
    if (held) yield held;
    held = chunk;
  }
  if (!matches(digest, hash)) throw new DigestMismatch(digest);
  if (held) yield held;
}

/** What a flight is made of. */
export interface FlightDeps {
  readonly digest: Digest;
  readonly open: OpenAt;
  readonly spool: Spool;
  readonly onResume: (position: number, cause: unknown) => void;
  readonly onBytes: (count: number) => void;
}

/**
 * The last bytes that no reader gets before the digest is right: a response that lacks one byte is not complete, and a
 * few more cost nothing.
 */
const HELD_BACK = 1024;

/** One transfer. Made by {@link Flight.start}; followed by readers, who hold it while they read. */
export class Flight {
  readonly digest: Digest;
  /** The blob's size in bytes, where the primary says it; always known when whole. */
  size: number | undefined;
  state: FlightState = 'flying';
  error: Error | undefined;
  /** Settles when the flight ended, whatever way. */
  readonly ended: Promise<void>;

  readonly #deps: FlightDeps;
  readonly #hash: Hash;
  readonly #stop = new AbortController();
  readonly #waiting: (() => void)[] = [];
  #file: SpoolFile | undefined;
  #unclaimed: BlobBody | undefined;
  #edge = 0;
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
    const file = deps.spool.reserve(reserved)
      ? await deps.spool.create(deps.digest, reserved).catch(() => undefined)
      : undefined;
    const flight = new Flight(deps, file ? body : undefined, file);
    if (!file) flight.#begin(body);
    return flight;
  }

  /** A flight of an earlier run whose file is whole; {@link check} it before use. */
  static landed(deps: FlightDeps, file: SpoolFile, size: number): Flight {
    const flight = new Flight(deps, undefined, file);
    flight.size = size;
    flight.#edge = size;
    flight.state = 'whole';
    return flight;
  }

  /** How many bytes readers may have by now. */
  get visible(): number {
    if (this.state !== 'flying') return this.#edge;
    return Math.max(0, this.size === undefined ? this.#edge - HELD_BACK : Math.min(this.#edge, this.size - HELD_BACK));
  }

  /** Bytes that are in the spool. */
  get edge(): number {
    return this.#edge;
  }

  /** The body that a flight which began as spilled had opened, for the first who asks. */
  claim(): BlobBody | undefined {
    const body = this.#unclaimed;
    this.#unclaimed = undefined;
    return body;
  }

  /** How the readers of a spilled flight go on: the hash of what is in the spool, to be continued. */
  hashSoFar(): Hash {
    return this.#hash.copy();
  }

  /** Opens the primary's body at a byte, for readers of a spilled flight. */
  open(position: number): Promise<Answer<BlobBody>> {
    return this.#deps.open(position);
  }

  /** Reads bytes that are visible. */
  read(position: number, length: number): Promise<Buffer> {
    if (!this.#file) throw new Error('the spool file is gone');
    return this.#file.read(position, length);
  }

  /** Calls `wake` once, when there is more to see or the state has changed. */
  onProgress(wake: () => void): void {
    this.#waiting.push(wake);
  }

  /** Whether somebody else holds the flight. */
  get isHeld(): boolean {
    return this.#holders > 1;
  }

  /** Holds the spool file, unless it is gone already; every hold is given back by {@link release}. */
  hold(): boolean {
    if (this.#holders === 0) return false;
    this.#holders += 1;
    return true;
  }

  /** Gives a hold back; the last one removes the file. The filler's own hold is the first. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    this.claim()?.body.destroy();
    void this.#file?.dispose().catch(() => undefined);
  }

  /** Marks the file as one that the next run may take up. */
  async keep(names: readonly string[]): Promise<void> {
    await this.#file?.keep(this.digest, names);
  }

  /** Closes the file and leaves it where it is, for the next run. */
  async leave(): Promise<void> {
    await this.#file?.leave();
  }

  /** Ends the transfer: its readers fail. */
  abort(reason: Error): void {
    this.#stop.abort(reason);
  }

  /** Hashes a landed file again. */
  async check(): Promise<boolean> {
    const hash = hasherFor(this.digest);
    for (let position = 0; position < this.#edge;) {
      const bytes = await this.read(position, 1024 * 1024);
      if (bytes.length === 0) return false;
      hash.update(bytes);
      position += bytes.length;
    }
    return matches(this.digest, hash);
  }

  #begin(unclaimed: BlobBody): void {
    this.#unclaimed = unclaimed;
    this.size = unclaimed.size;
    this.state = 'spilled';
  }

  async #fly(body: BlobBody): Promise<void> {
    const { open, onResume, onBytes } = this.#deps;
    const source = readSource(body, open, { from: 0, until: body.size, onResume, signal: this.#stop.signal });
    try {
      for await (const chunk of source) {
        onBytes(chunk.length);
        if (!(await this.#take(chunk))) return;
      }
      if (!matches(this.digest, this.#hash)) throw new DigestMismatch(this.digest);
      this.size = this.#edge;
      this.state = 'whole';
    } catch (error) {
      this.error = error as Error;
      this.state = 'failed';
    }
  }

  /** Takes a chunk into the spool; false where the spool takes no more: the flight is spilled then. */
  async #take(chunk: Buffer): Promise<boolean> {
    if (this.#stop.signal.aborted) throw this.#stop.signal.reason;
    if (this.size === undefined) {
      if (!this.#deps.spool.reserve(chunk.length)) return this.#spill();
      this.#file?.grew(chunk.length);
    }
    try {
      await this.#file?.write(chunk, this.#edge);
    } catch {
      return this.#spill();
    }
    this.#hash.update(chunk);
    this.#edge += chunk.length;
    this.#wake();
    return true;
  }

  #spill(): false {
    this.state = 'spilled';
    return false;
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
