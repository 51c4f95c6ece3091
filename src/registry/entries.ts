// The entries of a list's page, read in slices: a page may have 32 MiB, and the event loop has other work.
import { setImmediate as turn } from 'node:timers/promises';

/** Bytes that are read in one turn of the event loop. */
const SLICE = 64 * 1024;
/** Bytes of one entry; no manifest is larger, and what refers to one repeats its annotations. */
const ENTRY_MAX = 4 * 1024 * 1024;
const DEPTH_MAX = 64;

const [QUOTE, BACKSLASH, COMMA, COLON] = [...Buffer.from('"\\,:')] as [number, number, number, number];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [...Buffer.from('[]{}')] as [number, number, number, number];
const SPACE = 0x20;

/** Goes through the JSON of a page, and takes the array of `key` apart. @throws where it is no such page */
class EntryScanner {
  readonly #bytes: Buffer;
  readonly #key: string;
  #at = 0;
  #depth = 0;
  #isOpened = false;
  #isInString = false;
  #stringStart = 0;
  /** Where the entries begin that were not taken yet, and the last comma behind one; `start` is 0 outside the array. */
  #start = 0;
  #comma = 0;
  #isFound = false;
  #hasErrors = false;

  constructor(bytes: Buffer, key: string) {
    this.#bytes = bytes;
    this.#key = key;
  }

  /** The entries that end before the byte `end`, but for those of earlier calls. */
  scan(end: number): unknown[] {
    const bytes = this.#bytes;
    const entries: unknown[] = [];
    let at = this.#at;
    let isInString = this.#isInString;
    for (; at < end; at += 1) {
      const byte = bytes[at]!;
      if (isInString) {
        if (byte === BACKSLASH) at += 1;
        else if (byte === QUOTE) isInString = false;
        continue;
      }
      if (byte <= SPACE) continue;
      if (this.#depth === 0 && (this.#isOpened || byte !== OPEN_OBJECT)) throw new Error('no object');
      if (byte === QUOTE) {
        isInString = true;
        this.#stringStart = at;
      } else if (byte === COMMA) {
        if (this.#depth === 2) this.#comma = at;
      } else if (byte === COLON) {
        if (this.#depth === 1) this.#readKey(at);
      } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
        this.#isOpened = true;
        this.#depth += 1;
        if (this.#depth > DEPTH_MAX) throw new Error('nested too deep');
      } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
        if (this.#depth === 2 && this.#start > 0) {
          this.#take(at, entries);
          this.#start = 0;
        }
        this.#depth -= 1;
      }
    }
    this.#at = at;
    this.#isInString = isInString;
    if (this.#start > 0 && this.#comma > this.#start) {
      this.#take(this.#comma, entries);
      this.#start = this.#comma + 1;
    }
    if (this.#start > 0 && at - this.#start > ENTRY_MAX) throw new Error('an entry over 4 MiB');
    return entries;
  }

  /** @throws where the page ends early, or has no such array but errors */
  end(): void {
    if (this.#depth !== 0 || !this.#isOpened) throw new Error('it ends early');
    if (this.#hasErrors && !this.#isFound) throw new Error('errors instead of entries');
  }

  #readKey(colon: number): void {
    const bytes = this.#bytes;
    // The longest key that is looked for, and its colon, fit many times over.
    const name = bytes.toString('latin1', this.#stringStart, Math.min(colon, this.#stringStart + 64)).trimEnd();
    this.#hasErrors ||= name === '"errors"';
    if (name !== `"${this.#key}"` || this.#isFound) return;
    this.#isFound = true;
    let value = colon + 1;
    while (bytes[value]! <= SPACE) value += 1;
    // Registries write null for none.
    if (bytes[value] === OPEN_LIST) [this.#start, this.#comma] = [value + 1, 0];
    else if (bytes.toString('latin1', value, value + 4) !== 'null') throw new Error(`${this.#key} is no array`);
  }

  #take(end: number, into: unknown[]): void {
    const taken = JSON.parse(`[${this.#bytes.toString('utf8', this.#start, end)}]`) as unknown[];
    for (const entry of taken) into.push(entry);
  }
}

/**
 * The entries in the array `key` of a page's object, slice by slice, other work in between; none where there is no such
 * key. @throws Error where the page is something else, with what was read before already given out
 */
export async function* readEntries(bytes: Buffer, key: string): AsyncGenerator<readonly unknown[]> {
  const scanner = new EntryScanner(bytes, key);
  for (let end = SLICE; ; end += SLICE) {
    const entries = scanner.scan(Math.min(end, bytes.length));
    if (entries.length > 0) yield entries;
    if (end >= bytes.length) return scanner.end();
    await turn();
  }
}
