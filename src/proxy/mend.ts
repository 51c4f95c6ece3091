// Mending: a local body that ends short is continued from the primary inside the same response.
import type { Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { watchRate, type LeastRate, type RateWatch } from '../lib/least-rate.ts';
import { hasherFor, hexOf, type Digest } from '../oci/digest.ts';

/** What a mended body is made of. */
export interface MendDeps {
  readonly digest: Digest;
  readonly body: Readable;
  /** The first byte of the body. */
  readonly start: number;
  /** The byte after its last; undefined where nothing but the hash of the whole blob can tell its end. */
  readonly until: number | undefined;
  /** The body is the whole blob and is read for the first time: it is hashed. A body without an end always is. */
  readonly isHashed?: boolean;
  /** A body that brings less while the client waits for it counts as broken off. */
  readonly leastRate?: LeastRate | undefined;
  /** The bytes from a position on, from the primary. */
  readonly onward: (position: number, signal: AbortSignal) => AsyncIterable<Buffer>;
  /**
   * Called where the local body is not what it should be: broken off with this cause or, without one, short or wrong.
   */
  readonly onDamage: (position: number, cause: unknown) => void;
  /** Called when all bytes were given; those of a hashed body have the digest then. */
  readonly onWhole: (size: number) => void;
}

/** The least rate of a local body by default; one that stands still counts as broken off after the window. */
const LOCAL_RATE: LeastRate = { bytes: 64 * 1024, window: 30_000 };

/**
 * A stream of a local body that is continued from the primary where it ends early. Destroyed where the primary cannot
 * help either.
 */
export class MendedBody extends Readable {
  readonly #deps: MendDeps;
  readonly #hash: Hash | undefined;
  readonly #left = new AbortController();
  readonly #rate: RateWatch;
  #position: number;
  #held: Buffer | undefined;
  #onward: AsyncIterator<Buffer> | undefined;
  #isPulling = false;

  constructor(deps: MendDeps) {
    super({ highWaterMark: 256 * 1024 });
    this.#deps = deps;
    this.#position = deps.start;
    this.#hash = deps.until === undefined || deps.isHashed ? hasherFor(deps.digest) : undefined;
    const { body, leastRate = LOCAL_RATE } = deps;
    this.#rate = watchRate(
      leastRate,
      () => !body.isPaused(),
      () => body.destroy(new Error('too slow')),
    );
    body.on('data', (chunk: Buffer) => {
      this.#rate.count(chunk.length);
      if (this.#give(chunk) === false) body.pause();
    });
    body.once('end', () => this.#localEnd(undefined));
    body.once('error', (error) => this.#localEnd(error));
    body.pause();
    // It may have ended before the listeners were added.
    if (body.destroyed) setImmediate(() => this.#localEnd(body.errored));
  }

  override _read(): void {
    if (this.#onward) this.#pull(this.#onward);
    else this.#deps.body.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#rate.stop();
    this.#left.abort();
    this.#deps.body.destroy();
    callback(error);
  }

  /** Passes a chunk on, or undefined where it is held back: a body whose hash is wrong must never look complete. */
  #give(given: Buffer): boolean | undefined {
    // The client would take bytes beyond the announced end for the next answer.
    const rest = this.#deps.until === undefined ? given.length : this.#deps.until - this.#position;
    const chunk = given.length > rest ? given.subarray(0, rest) : given;
    this.#position += chunk.length;
    if (!this.#hash) return this.push(chunk);
    this.#hash.update(chunk);
    const ready = this.#held;
    this.#held = chunk;
    return ready && this.push(ready);
  }

  #isWhole(): boolean {
    const { until } = this.#deps;
    if (until !== undefined && this.#position !== until) return false;
    if (!this.#hash) return true;
    return this.#hash.copy().digest('hex') === hexOf(this.#deps.digest);
  }

  #localEnd(cause: unknown): void {
    if (this.#onward || this.destroyed) return;
    this.#rate.stop();
    if (this.#isWhole()) return this.#end();
    this.#deps.onDamage(this.#position, cause);
    // All bytes are out but those that are held back, and they are wrong.
    if (this.#position === this.#deps.until) return void this.destroy(new Error(`these are not ${this.#deps.digest}`));
    this.#onward = this.#deps.onward(this.#position, this.#left.signal)[Symbol.asyncIterator]();
    this.#pull(this.#onward);
  }

  #pull(onward: AsyncIterator<Buffer>): void {
    if (this.#isPulling) return;
    this.#isPulling = true;
    onward.next().then(
      ({ done, value }) => {
        this.#isPulling = false;
        if (this.destroyed) return;
        if (done) this.#onwardEnd();
        else if (this.#give(value) === undefined) this.#pull(onward);
      },
      (error: Error) => this.destroy(error),
    );
  }

  #onwardEnd(): void {
    if (this.#isWhole()) this.#end();
    else this.destroy(new Error(`these are not ${this.#deps.digest}`));
  }

  #end(): void {
    if (this.#held) this.push(this.#held);
    this.#deps.onWhole(this.#position);
    this.push(null);
  }
}
