// The spool: a folder of files that each hold a blob until it is stored. It touches only files of its own.
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { algorithmOf, hexOf, parseDigest, type Digest } from '../oci/digest.ts';
import { isName } from '../oci/reference.ts';
import { SpoolFile, type Note, type OnWrite } from './spool-file.ts';

/** A whole blob in a file of an earlier run; its digest has to be checked before it is used. */
export interface RecoveredFile {
  readonly digest: Digest;
  readonly size: number;
  /** Repositories that it belongs to, one at least. */
  readonly names: readonly string[];
  readonly file: SpoolFile;
}

// <algorithm>-<hex>.<uuid>.part while it comes in, .blob when it is whole and kept, .json: its digest and repositories.
const OURS = /^sha(?:256|512)-[0-9a-f]{64,128}\.[0-9a-f-]{36}\.(?:part|blob|json)$/;

// A trial write is named as a blob's file is, so that the next run removes what is left of it.
const TRIAL = `sha256:${'0'.repeat(64)}` as Digest;
const TRIAL_SIZE = 64 * 1024;

/** The path of a file without its suffix: a blob's file and its note share it. */
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

  /** Why files cannot be written, for people; undefined where they can. After a failed write it tries to write one. */
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
      // The folder does not exist yet, or was removed.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await mkdir(this.#dir, { recursive: true, mode: 0o700 });
      return make();
    }
  }

  /**
   * A new file for a blob; `reserved` bytes were reserved for it and are free again when it is disposed of.
   * @throws the file system's error; the bytes are free then.
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
   * Opens the files of an earlier run that are whole, and removes its other files. To be called before this run creates
   * files.
   */
  async recover(): Promise<RecoveredFile[]> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const ours = (await readdir(this.#dir)).filter((name) => OURS.test(name));
    const recovered = await Promise.all(
      ours.filter((name) => name.endsWith('.blob')).map((name) => this.#takeUp(name)),
    );
    const taken = new Set(recovered.filter((file) => file !== undefined).map((file) => file.base));
    const rest = ours.filter((name) => !taken.has(baseOf(this.#dir, name)));
    await Promise.all(rest.map((name) => rm(join(this.#dir, name), { force: true })));
    return recovered.filter((file) => file !== undefined);
  }

  async #takeUp(name: string): Promise<(RecoveredFile & { base: string }) | undefined> {
    const base = baseOf(this.#dir, name);
    const note = parseNote(await readFile(`${base}.json`, 'utf8').catch(() => ''));
    if (!note || note.names.length === 0) return undefined;
    const handle = await open(`${base}.blob`, 'r').catch(() => undefined);
    if (!handle) return undefined;
    const { size } = await handle.stat();
    // Where the limit was lowered this may exceed it, until the blob is stored.
    this.#used += size;
    const file = new SpoolFile(handle, base, 'blob', size, this.#free, this.#note);
    return { digest: note.digest, size, names: note.names, file, base };
  }
}
