// Reads a body into memory, within limits of size, rate and time.
import type { Readable } from 'node:stream';
import { watchRate, type LeastRate } from '../lib/least-rate.ts';

/** Limits of a body: `max` in bytes, `time` in milliseconds from its headers to its end. */
interface BodyLimits {
  readonly max: number;
  readonly leastRate: LeastRate;
  readonly time: number;
}

/** The bytes that came, and why they are incomplete. */
export interface CollectedBody {
  readonly bytes: Buffer;
  readonly failure?: Error;
}

// Bytes a second; a line that is slower cannot carry images anyway.
const LEAST = 4 * 1024;
// The rate is checked twice in the time to headers, so that a stopped body frees its place before others time out.
const WINDOWS = 2;
// With a client's 5 s this gives 60 s; 4 MiB over 100 kB/s take 42 s.
const TIMES = 12;

/** The limits of a body of at most `max` bytes; `timeout` is the time limit (ms) that its headers had. */
export function limitsFor(timeout: number, max: number): BodyLimits {
  const window = timeout / WINDOWS;
  return { max, leastRate: { bytes: (LEAST * window) / 1_000, window }, time: TIMES * timeout };
}

/** Reads a body within its limits. Never rejects. */
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
