// Bodies that are read into memory: so many bytes at the most, not slower than a least rate, and not longer than a time.
import type { Readable } from 'node:stream';
import { watchRate, type LeastRate } from '../lib/least-rate.ts';

/** What a body may be; `time` in milliseconds from its headers to its end. */
export interface BodyLimits {
  /** Bytes. */
  readonly max: number;
  readonly leastRate: LeastRate;
  readonly time: number;
}

/** The bytes that came, and why they are not all of the body. */
export interface CollectedBody {
  readonly bytes: Buffer;
  readonly failure?: Error;
}

// Bytes a second: a line on which this is much has no images.
const LEAST = 4 * 1024;
// Half of the time to the headers: who waits for the place of a body that stands still waits as long for it as for headers.
const WINDOWS = 2;
// With the 5 s of a client 60 s: 4 MiB over 100 kB/s take 42.
const TIMES = 12;

/** The limits of a body of at most `max` bytes whose headers were waited for `timeout` ms. */
export function limitsFor(timeout: number, max: number): BodyLimits {
  const window = timeout / WINDOWS;
  return { max, leastRate: { bytes: (LEAST * window) / 1_000, window }, time: TIMES * timeout };
}

/** Reads a body within its limits; what is beyond them is not waited for. Never rejects. */
export async function collect(body: Readable, { max, leastRate, time }: BodyLimits): Promise<CollectedBody> {
  const chunks: Buffer[] = [];
  let size = 0;
  let failure: Error | undefined;
  const watch = watchRate(
    leastRate,
    () => true,
    () => body.destroy(new Error('too slow')),
  );
  const limit = setTimeout(() => body.destroy(new Error(`not complete in ${time} ms`)), time);
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk.subarray(0, max - size));
      size += chunk.length;
      watch.count(chunk.length);
      if (size <= max) continue;
      failure = new Error(`over ${max} bytes`);
      break;
    }
  } catch (error) {
    failure = error as Error;
  } finally {
    watch.stop();
    clearTimeout(limit);
  }
  return { bytes: Buffer.concat(chunks), ...(failure ? { failure } : {}) };
}
