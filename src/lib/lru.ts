// What the program remembers: maps of declared names, bounded in bytes, that forget what was used least recently.
// The library lays out all of its arrays at once for a `max` of entries: a few MiB for each map of 100,000, filled or
// not. Told of sizes instead it grows with its content. And to spare itself looks at the clock it would set a timer each
// millisecond: it looks.
import { LRUCache } from 'lru-cache';
import { MEMORIES, type MemoryName } from './memories.ts';

/** Knobs; `ttl` in milliseconds, as the library calls it. */
export type LruOptions<K extends string, V extends {}> = Pick<LRUCache.Options<K, V, unknown>, 'ttl' | 'dispose'> & {
  /** Bytes instead of the declared ones. */
  readonly maxBytes?: number;
  /** The largest entry that is kept, in bytes with its key. */
  readonly maxEntryBytes?: number;
  /** Bytes of a value; nothing for numbers, booleans and texts that others hold. */
  readonly sizeOf?: (value: V) => number;
};

// What an entry takes in the heap beside the characters of its key and its value: 110 to 180 bytes, most where many
// were forgotten lately, which the library's map lays aside for a while.
const ENTRY_BYTES = 168;

/** The only way to remember: the memory of this name, which holds no more bytes than are declared for it. */
export function createLru<K extends string, V extends {}>(
  name: MemoryName,
  options: LruOptions<K, V> = {},
): LRUCache<K, V> {
  const { maxBytes = MEMORIES[name].maxBytes, maxEntryBytes, sizeOf = () => 0, ...rest } = options;
  return new LRUCache<K, V>({
    ...rest,
    ttlResolution: 0,
    maxSize: maxBytes,
    ...(maxEntryBytes === undefined ? {} : { maxEntrySize: maxEntryBytes }),
    // Keys are ASCII or Latin-1: a byte a character.
    sizeCalculation: (value, key) => ENTRY_BYTES + key.length + sizeOf(value),
  });
}

/** A copy of a text. A part of a text that was cut out of a larger one holds all of that in memory. */
export function detached(text: string): string {
  return Buffer.from(text).toString();
}
