// Chunks from sockets are outside the heap, and are freed by a collection of the young generation only. They hardly grow
// the heap, so V8 collects late. Collecting every 8 MiB uses the same memory again while it is in the processor's cache
// (npm run bench, blobs: `stream`).

const BYTES_PER_COLLECTION = 8 * 1024 * 1024;

let bytesSince = 0;

/** Counts a received chunk of so many bytes. Collects only with `--expose-gc`, which bin/ starts Node with. */
export function countChunk(bytes: number): void {
  bytesSince += bytes;
  if (bytesSince < BYTES_PER_COLLECTION) return;
  bytesSince = 0;
  globalThis.gc?.({ type: 'minor', execution: 'sync' });
}
