// Chunks that come off a socket lie outside the heap, and only a collection of the young generation frees those that are
// done with. The heap hardly grows by them, so that V8 waits until they are very many; collected every few MiB the same
// memory is used again while it is still in the processor's cache (npm run bench, blobs: `stream`).

// Bytes.
const PER_COLLECTION = 8 * 1024 * 1024;

let since = 0;

/** Counts a chunk of so many bytes that came in. Without `--expose-gc`, which bin/ starts with, V8 is left to itself. */
export function countChunk(bytes: number): void {
  since += bytes;
  if (since < PER_COLLECTION) return;
  since = 0;
  globalThis.gc?.({ type: 'minor', execution: 'sync' });
}
