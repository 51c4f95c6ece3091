// Writes a client's response from buffers that are used again: with a new chunk for each read, many readers of large blobs
// keep hundreds of MiB of garbage alive.
import type { Readable, Writable } from 'node:stream';

/** Resolves with the next bytes, null at the end. Their memory is used again at the second call after this one. */
type NextBytes = () => Promise<Buffer | null>;

/** Writes bytes, and resolves when the kernel has them: their memory may then be used again. */
function written(destination: Writable, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(new Error('the reader left'));
    destination.once('close', gone);
    destination.write(bytes, (error) => {
      destination.off('close', gone);
      if (error) reject(error);
      else resolve();
    });
  });
}

async function writeAll(source: Readable, destination: Writable, next: NextBytes): Promise<void> {
  let writing: Promise<void> = Promise.resolve();
  for (;;) {
    const bytes = await next();
    await writing;
    // The response of a destroyed source must not end as if it were complete.
    if (source.destroyed) throw new Error('the reader left');
    if (bytes === null) return;
    writing = written(destination, bytes);
    // Avoids an unhandledRejection: it is awaited one turn later.
    writing.catch(() => undefined);
  }
}

/** Writes all that `next` gives, reading one ahead, and ends both; an error destroys `source`. */
export function pump(source: Readable, destination: Writable, next: NextBytes): void {
  writeAll(source, destination, next).then(
    () => {
      destination.end();
      source.push(null);
      source.resume();
    },
    (error: Error) => source.destroy(error),
  );
}
