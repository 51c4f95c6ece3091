// The bytes of one blob in its spool file: written in any order, hashed from the first byte on, read while they come in.
import type { Hash } from 'node:crypto';
import { hasherFor, matches, type Digest } from '../oci/digest.ts';
import { Received } from './pieces.ts';
import type { SpoolFile } from './spool-file.ts';

// Bytes that came before their turn are read back in chunks of this size to be hashed.
const HASH_CHUNK = 256 * 1024;
const CHECK_CHUNK = 1024 * 1024;

/** A spool file, its hash, and which of its bytes have been written. */
export class SpooledBlob {
  readonly #digest: Digest;
  readonly #file: SpoolFile;
  readonly #hash: Hash;
  readonly #received = new Received();
  readonly #waiting: (() => void)[] = [];
  #edge = 0;
  #hashing: Promise<void> | undefined;
  #isStopped = false;
  /** Bytes that have been written, in any order. */
  bytes = 0;
  /** Why the file takes no more bytes, if it was an error. */
  error: Error | undefined;

  constructor(digest: Digest, file: SpoolFile) {
    this.#digest = digest;
    this.#file = file;
    this.#hash = hasherFor(digest);
  }

  /** All bytes before this one are in the file and have been hashed; some beyond may be in the file, too. */
  get edge(): number {
    return this.#edge;
  }

  /** The first byte at or after `position` that is not in the file. */
  endFrom(position: number): number {
    return this.#received.endFrom(position);
  }

  /** Whether a byte is in the file, or at most `distance` bytes after some that are. */
  isNear(position: number, distance: number): boolean {
    return position <= this.#edge + distance || this.#received.isNear(position, distance);
  }

  /** A copy of the hash of all bytes before the edge. */
  hashToEdge(): Hash {
    return this.#hash.copy();
  }

  /** Writes bytes; false where no more are taken: the file failed, or {@link stop} was called. */
  async write(chunk: Buffer, position: number): Promise<boolean> {
    try {
      await this.#file.write(chunk, position);
    } catch (error) {
      this.stop(error as Error);
    }
    if (this.#isStopped) return false;
    this.bytes += chunk.length;
    this.#received.add({ from: position, until: position + chunk.length });
    if (position === this.#edge && !this.#hashing) {
      this.#hash.update(chunk);
      this.#edge += chunk.length;
    }
    if (this.endFrom(this.#edge) > this.#edge) void this.#hashReceived();
    this.wake();
    return true;
  }

  /** Takes no more bytes from now on: the edge and its hash stay as they are. */
  stop(error?: Error): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.error = error;
  }

  /** Resolves when all bytes up to the first gap are hashed; false where {@link write} would be. */
  async isHashed(): Promise<boolean> {
    await this.#hashReceived();
    return !this.#isStopped;
  }

  /** Hashes a file of an earlier run; its bytes can be read when the answer is true. @throws when `signal` is aborted */
  async isIntact(size: number, signal: AbortSignal): Promise<boolean> {
    const hash = hasherFor(this.#digest);
    const buffer = Buffer.allocUnsafe(CHECK_CHUNK);
    for (let position = 0; position < size;) {
      signal.throwIfAborted();
      const bytes = await this.read(position, buffer.subarray(0, size - position));
      if (bytes.length === 0) return false;
      hash.update(bytes);
      position += bytes.length;
    }
    this.#edge = this.bytes = size;
    return matches(this.#digest, hash);
  }

  /** Reads into `buffer`; the answer is the part of it that was filled. */
  read(position: number, buffer: Buffer): Promise<Buffer> {
    return this.#file.read(position, buffer);
  }

  /** Calls `wake` once, at the next {@link wake}. */
  onProgress(wake: () => void): void {
    this.#waiting.push(wake);
  }

  /** Wakes the readers: there are more bytes, or the transfer has ended. */
  wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Counts more bytes of the spool's space as this file's. */
  grew(bytes: number): void {
    this.#file.grew(bytes);
  }

  /** Marks the file as one that the next run takes up, for these repositories. */
  async keep(names: readonly string[]): Promise<void> {
    await this.#file.keep(this.#digest, names);
  }

  /** Closes the file and leaves it for the next run. */
  leave(): Promise<void> {
    return this.#file.leave();
  }

  /** Removes the file, even while others read it. */
  dispose(): Promise<void> {
    return this.#file.dispose();
  }

  /** Moves the edge over bytes that came before their turn. */
  #hashReceived(): Promise<void> {
    this.#hashing ??= this.#readBack().finally(() => {
      this.#hashing = undefined;
    });
    return this.#hashing;
  }

  async #readBack(): Promise<void> {
    const buffer = Buffer.allocUnsafe(HASH_CHUNK);
    try {
      for (;;) {
        const ready = this.endFrom(this.#edge) - this.#edge;
        if (ready === 0 || this.#isStopped) return;
        const bytes = await this.read(this.#edge, buffer.subarray(0, ready));
        if (bytes.length === 0) throw new Error('the spool file is shorter than it was');
        this.#hash.update(bytes);
        this.#edge += bytes.length;
        this.wake();
      }
    } catch (error) {
      this.stop(error as Error);
    }
  }
}
