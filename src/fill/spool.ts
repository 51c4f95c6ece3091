// The spool: files on disk that hold a blob while it comes in, until it is stored. Only files of our own are touched.
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { algorithmOf, hexOf, parseDigest, type Digest } from '../oci/digest.ts';
import { isName } from '../oci/reference.ts';

/** A whole blob that an earlier run left: checked by its digest before it is used. */
export interface Leftover {
  readonly digest: Digest;
  readonly size: number;
  /** Repositories that it belongs to. */
  readonly names: readonly string[];
  readonly file: SpoolFile;
}

interface Note {
  readonly digest: Digest;
  readonly names: readonly string[];
}

// <algorithm>-<hex>.<uuid>.part while it comes in, .blob when its digest was right, .json: whose it is.
const OURS = /^sha(?:256|512)-[0-9a-f]{64,128}\.[0-9a-f-]{36}\.(?:part|blob|json)$/;

// What is written to see whether the disk takes it: named as a blob's file is, so that the next run removes what is left.
const TRIAL = `sha256:${'0'.repeat(64)}` as Digest;
const TRIAL_SIZE = 64 * 1024;

/** The path of a file of ours without its suffix: what belongs together has one. */
function baseOf(dir: string, name: string): string {
  return join(dir, name.replace(/\.\w+$/, ''));
}

function parseNote(text: string): Note | undefined {
  try {
    const { digest, names } = JSON.parse(text) as { digest?: unknown; names?: unknown };
    const parsed = parseDigest(digest);
    if (!parsed || !Array.isArray(names)) return undefined;
    return { digest: parsed, names: names.filter((name): name is string => typeof name === 'string' && isName(name)) };
  } catch {
    return undefined;
  }
}

/** Told of what the file system says to writes; without an error, that it took one. */
type OnWrite = (error?: unknown) => void;

/** One file of the spool: written once from the front, read anywhere, gone when disposed of. */
export class SpoolFile {
  readonly #handle: FileHandle;
  readonly #base: string;
  readonly #free: (bytes: number) => void;
  readonly #onWrite: OnWrite;
  #reserved: number;
  #name: string;
  #isClosed = false;
  // A note must not be written behind the back of the removal that is to take it away.
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

  /** Notes that more of the spool's space is this file's. */
  grew(bytes: number): void {
    this.#reserved += bytes;
  }

  /** Writes all of `chunk` at `position`. @throws what the file system says (ENOSPC …). */
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

  /** Makes the file one that the next run takes up: its digest was right, and it belongs to `names`. */
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

/** The spool's folder and how much of `max` bytes is in use. */
export class Spool {
  readonly #dir: string;
  readonly #max: number;
  #used = 0;
  #trouble: string | undefined;

  constructor(dir: string, max: number) {
    this.#dir = dir;
    this.#max = max;
  }

  /** Bytes in use, unlinked but open files counted. */
  get used(): number {
    return this.#used;
  }

  /** Whether `bytes` could be had if nothing else were in the spool. */
  couldHold(bytes: number): boolean {
    return bytes <= this.#max;
  }

  /** Whether `bytes` are free now. */
  fits(bytes: number): boolean {
    return this.#used + bytes <= this.#max;
  }

  /** Takes `bytes` of the space; false where they are not there. */
  reserve(bytes: number): boolean {
    if (!this.fits(bytes)) return false;
    this.#used += bytes;
    return true;
  }

  readonly #free = (bytes: number): void => {
    this.#used -= bytes;
  };

  readonly #note: OnWrite = (error) => {
    this.#trouble = error === undefined ? undefined : (error as Error).message;
  };

  /** Why files cannot be written, for people; undefined where they can. After a failure one is tried. */
  async trouble(): Promise<string | undefined> {
    if (this.#trouble === undefined) return undefined;
    const trial = await this.create(TRIAL, 0).catch(() => undefined);
    await trial?.write(Buffer.alloc(TRIAL_SIZE), 0).catch(() => undefined);
    await trial?.dispose();
    return this.#trouble === undefined ? undefined : `blobs pass without the spool: ${this.#trouble}`;
  }

  async #open(path: string): Promise<FileHandle> {
    const make = (): Promise<FileHandle> => open(path, 'wx+', 0o600);
    try {
      return await make();
    } catch (error) {
      // The folder may not be there yet, or not any more.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await mkdir(this.#dir, { recursive: true, mode: 0o700 });
      return make();
    }
  }

  /**
   * A new file for a blob; `reserved` bytes were reserved for it and are given back when it is disposed of.
   * @throws what the file system says; the bytes are given back then.
   */
  async create(digest: Digest, reserved: number): Promise<SpoolFile> {
    const base = join(this.#dir, `${algorithmOf(digest)}-${hexOf(digest)}.${randomUUID()}`);
    try {
      return new SpoolFile(await this.#open(`${base}.part`), base, 'part', reserved, this.#free, this.#note);
    } catch (error) {
      this.#note(error);
      this.#free(reserved);
      throw error;
    }
  }

  /**
   * Opens what an earlier run finished and did not store, and removes what it did not finish: before this run begins
   * with files of its own.
   */
  async recover(): Promise<Leftover[]> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const ours = (await readdir(this.#dir)).filter((name) => OURS.test(name));
    const leftovers = await Promise.all(
      ours.filter((name) => name.endsWith('.blob')).map((name) => this.#takeUp(name)),
    );
    const taken = new Set(leftovers.filter((left) => left !== undefined).map((left) => left.base));
    const rest = ours.filter((name) => !taken.has(baseOf(this.#dir, name)));
    await Promise.all(rest.map((name) => rm(join(this.#dir, name), { force: true })));
    return leftovers.filter((left) => left !== undefined);
  }

  async #takeUp(name: string): Promise<(Leftover & { base: string }) | undefined> {
    const base = baseOf(this.#dir, name);
    const note = parseNote(await readFile(`${base}.json`, 'utf8').catch(() => ''));
    if (!note || note.names.length === 0) return undefined;
    const handle = await open(`${base}.blob`, 'r').catch(() => undefined);
    if (!handle) return undefined;
    const { size } = await handle.stat();
    // Beyond the limit it may be, if the limit was lowered: it goes as soon as it is stored.
    this.#used += size;
    const file = new SpoolFile(handle, base, 'blob', size, this.#free, this.#note);
    return { digest: note.digest, size, names: note.names, file, base };
  }
}
