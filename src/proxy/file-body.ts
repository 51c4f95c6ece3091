// A body from the local registry's file: large reads into few buffers, and what the file lacks from the primary.
import type { FileHandle } from 'node:fs/promises';
import { Readable, type Writable } from 'node:stream';
import { pump } from '../lib/pump.ts';
import { hasherFor, hexOf } from '../oci/digest.ts';
import type { MendDeps } from './mend.ts';

/** What such a body is made of: as a mended one, with a file in the place of the registry's stream. */
export interface FileBodyDeps extends Omit<MendDeps, 'body' | 'leastRate'> {
  /** Closed when the body is done with it. */
  readonly file: FileHandle;
}

// Bytes of one read. Reads of 1 MiB were no faster, and each reader holds two or three of these.
const CHUNK = 256 * 1024;

/**
 * The bytes of a body. A chunk's memory is used again from the chunk after the next on. Of a body without an end the
 * last chunk is held back until the hash is right.
 */
async function* bytesOf(deps: FileBodyDeps, left: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  const { file, digest, start, until, isHashed = false, onward, onDamage, onWhole } = deps;
  const end = until ?? Infinity;
  const hash = until === undefined || isHashed ? hasherFor(digest) : undefined;
  let position = start;
  let held: Buffer | undefined;
  let cause: unknown;

  async function* local(): AsyncGenerator<Buffer, void, undefined> {
    const size = Math.min(CHUNK, Math.max(1, end - start));
    const buffers: Buffer[] = [];
    let turn = 0;
    for (let at = start; at < end; turn = (turn + 1) % (hash ? 3 : 2)) {
      const buffer = (buffers[turn] ??= Buffer.allocUnsafeSlow(size));
      try {
        const { bytesRead } = await file.read(buffer, 0, Math.min(size, end - at), at);
        if (bytesRead === 0) return;
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      } catch (error) {
        cause = error;
        return;
      }
    }
  }

  async function* passed(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    for await (const bytes of source) {
      position += bytes.length;
      hash?.update(bytes);
      const ready = hash ? held : bytes;
      if (hash) held = bytes;
      if (ready) yield ready;
    }
  }

  const isWhole = (): boolean =>
    (until === undefined || position === until) && (!hash || hash.copy().digest('hex') === hexOf(digest));

  yield* passed(local());
  if (left.aborted) return;
  if (!isWhole()) {
    onDamage(position, cause);
    if (position === until) throw new Error(`these are not ${digest}`);
    yield* passed(onward(position, left));
    if (!isWhole()) throw new Error(`these are not ${digest}`);
  }
  if (held) yield held;
  onWhole(position);
}

/**
 * A stream of a blob's file that is continued from the primary where it ends early. Destroyed where the primary cannot
 * help either.
 */
export class FileBody extends Readable {
  readonly #file: FileHandle;
  readonly #left = new AbortController();
  readonly #bytes: AsyncGenerator<Buffer, void, undefined>;
  #isPumped = false;

  constructor(deps: FileBodyDeps) {
    super({ highWaterMark: CHUNK });
    this.#file = deps.file;
    this.#bytes = bytesOf(deps, this.#left.signal);
  }

  /** Writes everything to a client's response, chunk after chunk as it takes them, out of memory that is used again. */
  override pipe<T extends NodeJS.WritableStream>(destination: T): T {
    this.#isPumped = true;
    pump(this, destination as unknown as Writable, async () => {
      const { done, value } = await this.#bytes.next();
      return done ? null : value;
    });
    return destination;
  }

  override _read(): void {
    if (this.#isPumped) return;
    this.#bytes.next().then(
      ({ done, value }) => {
        // This reader may keep the chunk, so it gets a copy.
        if (!this.destroyed) this.push(done ? null : Buffer.from(value));
      },
      (error: Error) => this.destroy(error),
    );
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#left.abort();
    void this.#close();
    callback(error);
  }

  /** Closes the file after a read that is under way. Nothing depends on its success. */
  async #close(): Promise<void> {
    await this.#file.close().catch(() => undefined);
  }
}
