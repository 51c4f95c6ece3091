// A file of the spool: written while a blob comes in, read anywhere, removed when it is disposed of.
import { rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import type { Digest } from '../oci/digest.ts';

/** What is written beside a file that the next run takes up: whose blob it is. */
export interface Note {
  readonly digest: Digest;
  readonly names: readonly string[];
}

/** Called after each write, with the error of the file system if there was one. */
export type OnWrite = (error?: unknown) => void;

/** One file of the spool. */
export class SpoolFile {
  readonly #handle: FileHandle;
  readonly #base: string;
  readonly #free: (bytes: number) => void;
  readonly #onWrite: OnWrite;
  #reserved: number;
  #name: string;
  #isClosed = false;
  // One change at a time: a note that is written during the removal would stay behind.
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    handle: FileHandle,
    base: string,
    suffix: 'part' | 'blob',
    reserved: number,
    free: (bytes: number) => void,
    onWrite: OnWrite,
  ) {
    this.#handle = handle;
    this.#base = base;
    this.#name = `${base}.${suffix}`;
    this.#reserved = reserved;
    this.#free = free;
    this.#onWrite = onWrite;
  }

  /** Counts more bytes of the spool's space as this file's. */
  grew(bytes: number): void {
    this.#reserved += bytes;
  }

  /** Writes all of `chunk` at `position`. @throws the file system's error (ENOSPC …) */
  async write(chunk: Uint8Array, position: number): Promise<void> {
    let written = 0;
    try {
      while (written < chunk.length) {
        const { bytesWritten } = await this.#handle.write(chunk, written, chunk.length - written, position + written);
        written += bytesWritten;
      }
    } catch (error) {
      if (!this.#isClosed) this.#onWrite(error);
      throw error;
    }
    this.#onWrite();
  }

  /** Reads at `position` into `buffer`; the answer is the part that was filled: empty at the end of the file. */
  async read(position: number, buffer: Buffer): Promise<Buffer> {
    const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, position);
    return buffer.subarray(0, bytesRead);
  }

  /** Marks the file as one that the next run takes up: its digest is right, and it belongs to `names`. */
  keep(digest: Digest, names: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#isClosed) return;
      await writeFile(`${this.#base}.json`, JSON.stringify({ digest, names } satisfies Note), { mode: 0o600 });
      const name = `${this.#base}.blob`;
      if (this.#name === name) return;
      await rename(this.#name, name);
      this.#name = name;
    });
  }

  /** Removes and closes the file; its space is free then, also where it could not be removed. */
  dispose(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#isClosed) return;
      this.#isClosed = true;
      await Promise.allSettled([rm(this.#name, { force: true }), rm(`${this.#base}.json`, { force: true })]);
      await this.#handle.close().catch(() => undefined);
      this.#free(this.#reserved);
    });
  }

  /** Closes the file and leaves it for the next run. */
  leave(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#isClosed) return;
      this.#isClosed = true;
      await this.#handle.close();
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}
