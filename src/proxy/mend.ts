// Mending: a local body that ends short is continued from the primary inside the same response.
import type { Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { hasherFor, matches, type Digest } from '../oci/digest.ts';

/** What a mended body is made of. */
export interface MendDeps {
  readonly digest: Digest;
  readonly body: Readable;
  /** The first byte of the body, and the one after its last. */
  readonly start: number;
  readonly until: number;
  /** Whether nothing but its hash can tell that the body is whole: no size is known but the local registry's. */
  readonly isUnproven: boolean;
  /** The bytes from a position to `until`, from the primary. */
  readonly onward: (position: number) => AsyncIterable<Buffer>;
  readonly onDamage: (position: number, cause: unknown) => void;
}

/** A stream of a local body that survives its end. Destroyed where the primary cannot help either. */
export class MendedBody extends Readable {
  readonly #deps: MendDeps;
  readonly #hash: Hash | undefined;
  #position: number;
  #held: Buffer | undefined;
  #onward: AsyncIterator<Buffer> | undefined;

  constructor(deps: MendDeps) {
    super({ highWaterMark: 256 * 1024 });
    this.#deps = deps;
    this.#position = deps.start;
    this.#hash = deps.isUnproven ? hasherFor(deps.digest) : undefined;
    const { body } = deps;
    body.on('data', (chunk: Buffer) => this.#take(chunk));
    body.once('end', () => this.#localEnd(undefined));
    body.once('error', (error) => this.#localEnd(error));
    body.pause();
  }

  override _read(): void {
    if (this.#onward) this.#next(this.#onward);
    else this.#deps.body.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#deps.body.destroy();
    void this.#onward?.return?.();
    callback(error);
  }

  #take(chunk: Buffer): void {
    if (this.#onward) return;
    this.#position += chunk.length;
    let ready: Buffer | undefined = chunk;
    if (this.#hash) {
      // One behind, so that a body whose hash is wrong never looks complete.
      this.#hash.update(chunk);
      ready = this.#held;
      this.#held = chunk;
    }
    if (ready && !this.push(ready)) this.#deps.body.pause();
  }

  #localEnd(cause: unknown): void {
    if (this.#onward || this.destroyed) return;
    const { digest, until, onDamage, onward } = this.#deps;
    if (this.#position < until) {
      onDamage(this.#position, cause);
      if (this.#held) this.push(this.#held);
      this.#onward = onward(this.#position)[Symbol.asyncIterator]();
      return this.#next(this.#onward);
    }
    if (this.#hash && !matches(digest, this.#hash)) {
      const wrong = new Error(`the local bytes are not ${digest}`);
      onDamage(this.#position, wrong);
      return void this.destroy(wrong);
    }
    if (this.#held) this.push(this.#held);
    this.push(null);
  }

  #next(onward: AsyncIterator<Buffer>): void {
    onward.next().then(
      ({ done, value }) => {
        if (!this.destroyed) this.push(done ? null : value);
      },
      (error: Error) => this.destroy(error),
    );
  }
}
