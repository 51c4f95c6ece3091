// The source of a blob: the primary's body, taken up again at the byte reached when the connection breaks.
import { setTimeout as delay } from 'node:timers/promises';
import type { BlobBody } from '../registry/blob.ts';
import type { Answer } from '../registry/answer.ts';

/** Opens the body at a byte, with a fresh token and a fresh redirect. */
export type OpenAt = (position: number) => Promise<Answer<BlobBody>>;

/** How a source is read. */
export interface SourceOptions {
  /** The first byte that is wanted. */
  readonly from: number;
  /** The byte after the last that is wanted; undefined: to the end, wherever it is. */
  readonly until?: number | undefined;
  readonly onResume?: (position: number, cause: unknown) => void;
  readonly signal?: AbortSignal;
}

/** The source could not be read to its end; `cause` says why. */
export class SourceFailed extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'SourceFailed';
  }
}

// Resumes without a byte in between, and the pauses before them: 100 ms, doubling, 5 s at the most.
const RESUMES_MAX = 6;
const PAUSE = 100;
const PAUSE_MAX = 5_000;

function pauseBefore(attempt: number): number {
  return Math.min(PAUSE_MAX, PAUSE * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
}

/** Gives the body from byte `position` on, throwing away what comes before it: a registry may ignore a Range. */
async function* bytesFrom(opened: BlobBody, position: number): AsyncGenerator<Buffer> {
  if (opened.start > position) throw new SourceFailed(`asked for byte ${position}, got byte ${opened.start}`);
  let skip = position - opened.start;
  for await (const chunk of opened.body as AsyncIterable<Buffer>) {
    if (skip >= chunk.length) {
      skip -= chunk.length;
      continue;
    }
    yield skip > 0 ? chunk.subarray(skip) : chunk;
    skip = 0;
  }
}

async function reopened(open: OpenAt, position: number): Promise<BlobBody | SourceFailed> {
  const answer = await open(position);
  if (answer.kind === 'found') return answer.value;
  const reason = answer.kind === 'unavailable' ? answer.reason : answer.kind;
  const passing = answer.kind === 'unavailable' || answer.kind === 'busy';
  if (passing) return new SourceFailed(reason);
  throw new SourceFailed(reason);
}

/**
 * The bytes from `from` to `until`, resumed as often as there is progress in between.
 * @throws SourceFailed when it cannot go on: gone, changed in size, or no progress in several tries.
 */
export async function* readSource(
  first: BlobBody | undefined,
  open: OpenAt,
  options: SourceOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const { signal, onResume } = options;
  let { until } = options;
  let position = options.from;
  let body: BlobBody | SourceFailed | undefined = first;
  for (let tries = 0; ;) {
    let cause: unknown;
    body ??= await reopened(open, position);
    if (body instanceof SourceFailed) cause = body;
    else {
      const { size, body: stream } = body;
      if (until !== undefined && size !== undefined && size < until) throw new SourceFailed('the blob’s size changed');
      const bytes = bytesFrom(body, position);
      const stop = (): void => void stream.destroy();
      signal?.addEventListener('abort', stop);
      try {
        for (;;) {
          const next = await bytes.next().catch((error: unknown) => ({ error }));
          if ('error' in next) {
            cause = next.error;
            break;
          }
          if (next.done) break;
          const chunk = until === undefined ? next.value : next.value.subarray(0, until - position);
          position += chunk.length;
          tries = 0;
          yield chunk;
          if (position === until) return;
        }
      } finally {
        signal?.removeEventListener('abort', stop);
        stream.destroy();
      }
      if (cause instanceof SourceFailed) throw cause;
      if (cause === undefined && (until === undefined || position === until)) return;
      until ??= size;
    }
    if (signal?.aborted) throw new SourceFailed('stopped', signal.reason);
    tries += 1;
    if (tries > RESUMES_MAX) throw new SourceFailed('no progress', cause);
    onResume?.(position, cause);
    await delay(tries === 1 ? 0 : pauseBefore(tries - 1), undefined, signal && { signal }).catch(() => undefined);
    body = undefined;
  }
}
