// Parses the entries of a list's page in slices: a page may have 32 MiB, and must not block the event loop.
import { setImmediate as turn } from 'node:timers/promises';

/** Bytes that are parsed in one turn of the event loop. */
const SLICE = 64 * 1024;
/** Limit of one entry (bytes): no manifest is larger, and a referrer's entry repeats its annotations. */
const ENTRY_MAX = 4 * 1024 * 1024;
const DEPTH_MAX = 64;

const [QUOTE, BACKSLASH, COMMA, COLON] = [...Buffer.from('"\\,:')] as [number, number, number, number];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [...Buffer.from('[]{}')] as [number, number, number, number];
const SPACE = 0x20;

/** Scans the JSON of a page for the entries of the array `key`. @throws where it is no such page */
class EntryScanner {
  readonly #bytes: Buffer;
  readonly #key: string;
  #at = 0;
  #depth = 0;
  #isOpened = false;
  #isInString = false;
  #stringStart = 0;
  /** Where the next entry begins, and the last comma after one; `start` is 0 outside the array. */
  #start = 0;
  #comma = 0;
  #isFound = false;
  #hasErrors = false;

  constructor(bytes: Buffer, key: string) {
    this.#bytes = bytes;
    this.#key = key;
  }

  /** The entries that end before the byte `end` and that earlier calls have not returned. */
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

  /** @throws where the page ends early, or has `errors` and no such array */
  end(): void {
    if (this.#depth !== 0 || !this.#isOpened) throw new Error('it ends early');
    if (this.#hasErrors && !this.#isFound) throw new Error('errors instead of entries');
  }

  #readKey(colon: number): void {
    const bytes = this.#bytes;
    // Longer than any key that is searched for.
    const name = bytes.toString('latin1', this.#stringStart, Math.min(colon, this.#stringStart + 64)).trimEnd();
    this.#hasErrors ||= name === '"errors"';
    if (name !== `"${this.#key}"` || this.#isFound) return;
    this.#isFound = true;
    let value = colon + 1;
    while (bytes[value]! <= SPACE) value += 1;
    // Registries send null for no entries.
    if (bytes[value] === OPEN_LIST) [this.#start, this.#comma] = [value + 1, 0];
    else if (bytes.toString('latin1', value, value + 4) !== 'null') throw new Error(`${this.#key} is no array`);
  }

  #take(end: number, into: unknown[]): void {
    const taken = JSON.parse(`[${this.#bytes.toString('utf8', this.#start, end)}]`) as unknown[];
    for (const entry of taken) into.push(entry);
  }
}

/**
 * The entries in the array `key` of a page's object, slice by slice, with other work in between; none without that key.
 * @throws Error where the page is something else, possibly after entries were yielded
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
