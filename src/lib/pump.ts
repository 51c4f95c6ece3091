// A pump: bytes into a client's response out of memory that is used again, since with a chunk of its own for each read many
// readers of large blobs keep hundreds of MiB of garbage alive.
import type { Readable, Writable } from 'node:stream';

/** Gives the next bytes, null at the end. Their memory is used again from the call after the next on. */
export type NextBytes = () => Promise<Buffer | null>;

/** Writes bytes and resolves when they are the kernel's: their memory may be used again then. */
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
    // The response of a source that was destroyed must not be ended as if it were complete.
    if (source.destroyed) throw new Error('the reader left');
    if (bytes === null) return;
    writing = written(destination, bytes);
    // It is awaited a turn later: until then its failure is nobody's surprise.
    writing.catch(() => undefined);
  }
}

/** Writes all that `next` gives, reading one ahead, and ends both; `source` is destroyed with what goes wrong. */
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
