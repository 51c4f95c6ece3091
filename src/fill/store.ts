// The store: uploads a blob to the secondary by one streaming PUT, and repeats it when that fails.
import { setTimeout as delay } from 'node:timers/promises';
import type { Readable } from 'node:stream';
import type { Digest } from '../oci/digest.ts';
import { LEAST_RATE, watchRate, type LeastRate } from '../lib/least-rate.ts';
import { found, isNotStored, type Answer, type Failure } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';

/** Stores blobs in the secondary. Failures of the registry are answers, not errors. */
export interface Store {
  /** One upload of a body. */
  upload(name: string, digest: Digest, body: () => Readable, size: number | undefined): Promise<Answer<undefined>>;
  /** As {@link upload}, several times with pauses, until the blob is stored or `again` is false. */
  uploadAgain(
    name: string,
    digest: Digest,
    body: () => Readable,
    size: () => number | undefined,
    again: () => boolean,
  ): Promise<Answer<undefined>>;
  /** Mounts a blob that the secondary has under `from`, or uploads it where that is not possible. */
  link(name: string, digest: Digest, from: string, body: () => Readable, size: number): Promise<Answer<undefined>>;
  /**
   * Whether the secondary has the blob: its last byte is read, and its size compared where one is given. HEAD alone does
   * not prove it: registries also answer it for a file that is gone or cut off. A failure: it is not known.
   */
  has(name: string, digest: Digest, size?: number): Promise<Answer<boolean>>;
}

/** Times in milliseconds. */
export interface StoreOptions {
  readonly timeout?: number;
  /** The least rate at which the secondary takes bytes that are ready. */
  readonly leastRate?: LeastRate;
  /** How long the secondary may take to answer once it has all of the body. */
  readonly commit?: number;
  readonly pauses?: readonly number[];
}

/**
 * Calls `giveUp` when the secondary takes too few of the bytes that are ready, or does not answer after the last one.
 * Time in which the body waits for the primary does not count.
 */
function watch(
  body: Readable,
  { leastRate, commit }: { leastRate: LeastRate; commit: number },
  giveUp: (reason: string) => void,
): () => void {
  const rate = watchRate(
    leastRate,
    () => body.readableLength > 0 && !body.destroyed,
    () => giveUp('it takes next to nothing of an upload'),
  );
  const isOver = (): boolean => body.readableEnded || body.destroyed;
  const answer = watchRate({ bytes: 1, window: commit }, isOver, () => giveUp('no answer to an upload'));
  body.on('data', (chunk: Buffer) => rate.count(chunk.length));
  body.pause();
  return () => {
    rate.stop();
    answer.stop();
  };
}

async function hasByte(body: Readable): Promise<boolean> {
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) if (chunk.length > 0) return true;
  } catch {
    // A body that breaks off has no byte.
  }
  return false;
}

/** @see Store */
export function createStore(secondary: Registry, options: StoreOptions = {}): Store {
  const { timeout = 10_000, leastRate = LEAST_RATE, commit = 600_000, pauses = [0, 200, 1_000, 5_000] } = options;

  async function put(
    name: string,
    digest: Digest,
    session: URL,
    body: Readable,
    size: number | undefined,
  ): Promise<Answer<undefined>> {
    // An error of the body shows in the answer.
    body.on('error', () => undefined);
    const stop = new AbortController();
    const unwatch = watch(body, { leastRate, commit }, (reason) => stop.abort(new Error(reason)));
    try {
      return await secondary.uploads.put(name, session, digest, body, size, stop.signal);
    } finally {
      unwatch();
      body.destroy();
    }
  }

  async function upload(
    name: string,
    digest: Digest,
    body: () => Readable,
    size: number | undefined,
  ): Promise<Answer<undefined>> {
    const session = await secondary.uploads.start(name, timeout);
    return session.kind === 'found' ? put(name, digest, session.value, body(), size) : session;
  }

  const uploadAgain: Store['uploadAgain'] = async (name, digest, body, size, again) => {
    let failure: Failure = { kind: 'unavailable', reason: 'not tried' };
    for (const pause of pauses) {
      if (pause > 0) await delay(pause);
      if (!again()) break;
      const answer = await upload(name, digest, body, size());
      if (answer.kind === 'found') return answer;
      failure = answer;
      // Read-only maintenance takes longer than these pauses: it is tried again later.
      if (answer.kind === 'unsupported') break;
    }
    return failure;
  };

  async function link(
    name: string,
    digest: Digest,
    from: string,
    body: () => Readable,
    size: number,
  ): Promise<Answer<undefined>> {
    const mounted = await secondary.uploads.mount(name, digest, from, timeout);
    if (mounted.kind !== 'found') return upload(name, digest, body, size);
    return mounted.value === undefined ? found(undefined) : put(name, digest, mounted.value, body(), size);
  }

  async function has(name: string, digest: Digest, size?: number): Promise<Answer<boolean>> {
    const isRight = (given: number | undefined): boolean => size === undefined || given === undefined || given === size;
    const head = await secondary.blobs.head(name, digest, timeout);
    if (head.kind === 'missing' || isNotStored(head)) return found(false);
    if (head.kind !== 'found') return head;
    if (!isRight(head.value.size)) return found(false);
    if (head.value.size === 0) return found(true);
    const last = await secondary.blobs.open(name, digest, timeout, { suffix: 1 });
    return found(last.kind === 'found' && (await hasByte(last.value.body)) && isRight(last.value.size));
  }

  return { upload, uploadAgain, link, has };
}
