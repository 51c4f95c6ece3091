// Content of tests: bytes with their digest, deterministic by seed, small ones in memory and large ones as streams.
import { createCipheriv, createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** A blob that can be read from its start any number of times. */
export interface Blob {
  readonly digest: string;
  readonly size: number;
  open(): Readable;
}

/** A blob that is held in memory. */
export interface SmallBlob extends Blob {
  readonly bytes: Buffer;
}

const chunkSize = 1024 * 1024;

/** Pseudo-random bytes, the same for the same seed, at several GB/s: the key stream of AES in counter mode. */
function* seededChunks(size: number, seed: string | number): Generator<Buffer> {
  const key = createHash('sha256').update(`seed ${seed}`).digest().subarray(0, 16);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  for (let left = size; left > 0; left -= chunkSize) {
    yield cipher.update(Buffer.alloc(Math.min(left, chunkSize)));
  }
}

/** `size` pseudo-random bytes that depend on the seed alone; what a longer one of that seed begins with. */
export function seededBytes(size: number, seed: string | number): Buffer {
  return Buffer.concat([...seededChunks(size, seed)]);
}

/** The digest of bytes, `sha256:…` unless another algorithm is asked for. */
export function digestOf(bytes: Buffer | string, algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** A blob of these bytes, or of so many pseudo-random ones. */
export function blob(content: Buffer | string | number, seed: string | number = 0, algorithm = 'sha256'): SmallBlob {
  const bytes = typeof content === 'number' ? seededBytes(content, seed) : Buffer.from(content);
  return {
    bytes,
    size: bytes.length,
    digest: digestOf(bytes, algorithm),
    open: () => Readable.from([bytes], { objectMode: false }),
  };
}

/** A pseudo-random blob that is never in memory as a whole. */
export async function largeBlob(size: number, seed: string | number = 0): Promise<Blob> {
  const open = (): Readable => Readable.from(seededChunks(size, seed), { objectMode: false, highWaterMark: chunkSize });
  const hash = createHash('sha256');
  await pipeline(open(), hash);
  return { size, digest: `sha256:${hash.digest('hex')}`, open };
}
