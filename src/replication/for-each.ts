// Working on several things at once, and on many without holding up what else there is to do.
import { setImmediate as turn } from 'node:timers/promises';

/**
 * Works on `width` items at once, as they come. The first failure ends it, when what was begun has ended; it is thrown
 * then.
 */
export async function forEach<T>(
  items: Iterable<T> | AsyncIterable<T>,
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    try {
      for (let next = await iterator.next(); !next.done && failures.length === 0; next = await iterator.next()) {
        await work(next.value);
      }
    } catch (error) {
      failures.push(error);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  await iterator.return?.();
  if (failures.length > 0) throw failures[0];
}

/** Goes through many items in parts of `size`, each in a turn of the event loop of its own. */
export async function* inParts<T>(items: readonly T[], size: number): AsyncGenerator<readonly T[]> {
  for (let start = 0; start < items.length; start += size) {
    if (start > 0) await turn();
    yield items.slice(start, start + size);
  }
}
