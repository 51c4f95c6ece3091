// Caches: maps with declared names, bounded in bytes, that drop what was used least recently. With a `max` of entries the
// library allocates all of its arrays at once, a few MiB for each map of 100,000. With sizes it grows with its content.
// `ttlResolution: 0` makes it read the clock at each use; otherwise it sets a timer every millisecond.
import { LRUCache } from 'lru-cache';
import { MEMORIES, type MemoryName } from './memories.ts';

/** `ttl` in milliseconds. */
type LruOptions<K extends string, V extends {}> = Pick<LRUCache.Options<K, V, unknown>, 'ttl' | 'dispose'> & {
  /** Overrides the declared bound. */
  readonly maxBytes?: number | undefined;
  /** The largest entry that is kept; bytes, with its key. */
  readonly maxEntryBytes?: number;
  /** Bytes of a value; by default 0, for numbers, booleans and strings that are held elsewhere too. */
  readonly sizeOf?: (value: V) => number;
};

// Heap of an entry beside its key's characters and its value: 110 to 180 bytes, the most where many entries were dropped
// lately.
const ENTRY_BYTES = 168;

/** A cache of a declared name, with the bound that is declared for it. */
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
    // Keys are ASCII or Latin-1: one byte a character.
    sizeCalculation: (value, key) => ENTRY_BYTES + key.length + sizeOf(value),
  });
}

/** A copy of a string: a substring would keep the whole string that it was cut from in memory. */
export function detached(text: string): string {
  return Buffer.from(text).toString();
}
