// The store: brings a blob into the secondary by one streaming PUT, again from the spool when that fails.
import { setTimeout as delay } from 'node:timers/promises';
import type { Readable } from 'node:stream';
import type { Digest } from '../oci/digest.ts';
import type { Answer, Failure } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';

/** Stores blobs in the secondary. Nothing here throws for what a registry does. */
export interface Store {
  /** One upload of a body; the caller knows whether the body can be had again. */
  upload(name: string, digest: Digest, body: () => Readable, size: number | undefined): Promise<Answer<undefined>>;
  /** As {@link upload}, several times with pauses, until it is stored or `again` says no. */
  uploadAgain(
    name: string,
    digest: Digest,
    body: () => Readable,
    size: () => number | undefined,
    again: () => boolean,
  ): Promise<Answer<undefined>>;
  /** Links a blob that the secondary has under `from`, or uploads it where that is not possible. */
  link(name: string, digest: Digest, from: string, body: () => Readable, size: number): Promise<Answer<undefined>>;
  /** Whether the last byte can be read: HEAD alone may speak of bytes that are gone. */
  has(name: string, digest: Digest): Promise<boolean>;
}

/** Times in milliseconds. */
export interface StoreOptions {
  readonly timeout?: number;
  /** A body of which the secondary takes nothing for this long is ended. */
  readonly idle?: number;
  readonly pauses?: readonly number[];
}

/** Ends a stream that nobody reads for a while. */
function watchIdle(body: Readable, idle: number): () => void {
  let seen = -1;
  let taken = 0;
  body.on('data', (chunk: Buffer) => (taken += chunk.length));
  body.pause();
  const timer = setInterval(() => {
    if (taken === seen) body.destroy(new Error('the secondary takes nothing'));
    seen = taken;
  }, idle);
  timer.unref();
  return () => clearInterval(timer);
}

/** @see Store */
export function createStore(secondary: Registry, options: StoreOptions = {}): Store {
  const { timeout = 10_000, idle = 60_000, pauses = [0, 200, 1_000, 5_000] } = options;

  async function put(
    name: string,
    digest: Digest,
    session: URL,
    body: Readable,
    size: number | undefined,
  ): Promise<Answer<undefined>> {
    const unwatch = watchIdle(body, idle);
    try {
      return await secondary.uploads.put(name, session, digest, body, size);
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
      // Read-only maintenance does not pass in seconds: the background queue comes back to it.
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
    return mounted.value === undefined
      ? { kind: 'found', value: undefined }
      : put(name, digest, mounted.value, body(), size);
  }

  async function has(name: string, digest: Digest): Promise<boolean> {
    const head = await secondary.blobs.head(name, digest, timeout);
    if (head.kind !== 'found') return false;
    if (head.value.size === 0) return true;
    const last = await secondary.blobs.open(name, digest, timeout, { suffix: 1 });
    if (last.kind !== 'found') return false;
    let count = 0;
    try {
      for await (const chunk of last.value.body as AsyncIterable<Buffer>) {
        count += chunk.length;
        if (count > 1) break;
      }
    } catch {
      return false;
    }
    return count > 0;
  }

  return { upload, uploadAgain, link, has };
}
