// A map that forgets what was used least recently. The library lays out all of its arrays at once for a `max` of entries:
// a few MiB for each map of 100,000, filled or not. Told of a size instead, one an entry, it grows with what is there.
// And to spare itself looks at the clock it would set a timer each millisecond: it looks.
import { LRUCache } from 'lru-cache';

/** Knobs that the library calls so: `ttl` in milliseconds. */
export type LruOptions<K extends {}, V extends {}> = Pick<LRUCache.Options<K, V, unknown>, 'ttl' | 'dispose'>;

/** A map of the size `max` at the most, where an entry has the size that `sizeOf` says; 1 where nothing does. */
export function createLru<K extends {}, V extends {}>(
  max: number,
  options: LruOptions<K, V> = {},
  sizeOf: (value: V) => number = () => 1,
): LRUCache<K, V> {
  return new LRUCache<K, V>({ ...options, ttlResolution: 0, maxSize: max, sizeCalculation: sizeOf });
}
