// Pass-through: bytes that the spool does not hold go from the primary to the client and, at the same time, into the
// secondary.
import type { Hash } from 'node:crypto';
import { PassThrough, Readable, type Writable } from 'node:stream';
import { hasherFor } from '../oci/digest.ts';
import type { Answer } from '../registry/answer.ts';
import type { BlobBody } from '../registry/blob.ts';
import { watchRate, type LeastRate, type RateWatch } from '../lib/least-rate.ts';
import type { BlobFill } from './blob-fill.ts';
import { readSource } from './source.ts';
import type { Store } from './store.ts';

/** What a reader of a spilled fill wants from the primary. */
export interface Rest {
  readonly from: number;
  /** The byte after the last; undefined: to the end. */
  readonly until: number | undefined;
  /** Whether the reader has read exactly the spool's hashed bytes, or begins with the first: then the digest is checked. */
  readonly isChecked: boolean;
  /** A body that is open already. */
  readonly first?: BlobBody | undefined;
  readonly signal?: AbortSignal | undefined;
}

// An upload that takes nothing for this time (ms) is given up, so that it does not hold up the client.
const UPLOAD_TIMEOUT = 5_000;

/** Passes bytes on, the last chunk only after `verify` has accepted the hash of all. @throws what `verify` throws */
async function* heldBack(
  source: AsyncIterable<Buffer>,
  hash: Hash,
  verify: () => void,
): AsyncGenerator<Buffer, void, undefined> {
  let held: Buffer | undefined;
  for await (const chunk of source) {
    hash.update(chunk);
    if (held) yield held;
    held = chunk;
  }
  verify();
  if (held) yield held;
}

/** The primary's bytes for one reader of a spilled fill. @throws DigestMismatch before the last chunk if checked */
export async function* fromPrimary(
  fill: BlobFill,
  { from, until, isChecked, first, signal }: Rest,
): AsyncGenerator<Buffer, void, undefined> {
  const { openInSlot, reading, slotPerBody: slot } = fill.source;
  const source = readSource(first, openInSlot, { ...reading, from, until, size: fill.size, slot, signal });
  if (!isChecked) return yield* source;
  const hash = from > 0 && fill.spooled ? fill.spooled.hashToEdge() : hasherFor(fill.digest);
  yield* heldBack(source, hash, () => fill.source.verify(hash));
}

/** All bytes of a spilled fill, checked, for a reader that has none yet; `first` is open already. */
export function allFromPrimary(fill: BlobFill, first: BlobBody | undefined): AsyncGenerator<Buffer> {
  return fromPrimary(fill, { from: 0, until: fill.size, isChecked: true, first });
}

/** An upload of a blob whose bytes are written to the stream `upload`, which is destroyed when the upload is over. */
export function uploadBeside(
  store: Store,
  name: string,
  fill: BlobFill,
): { upload: Writable; answer: Promise<Answer<undefined>> } {
  const upload = new PassThrough();
  const answer = store
    .upload(name, fill.digest, () => upload, fill.size)
    .catch((error: unknown): Answer<undefined> => ({ kind: 'unavailable', reason: String(error) }));
  return { upload, answer: answer.finally(() => upload.destroy()) };
}

/** Resolves when `sink` takes more bytes or is closed; one that takes none for too long is destroyed. */
function untilDrained(sink: Writable): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => sink.destroy(new Error('the store is too slow')), UPLOAD_TIMEOUT);
    const done = (): void => {
      clearTimeout(timer);
      sink.off('drain', done).off('close', done);
      resolve();
    };
    sink.on('drain', done).on('close', done);
  });
}

/**
 * A stream of `source` for one client that writes the same bytes to an upload. When the client leaves, the upload still
 * gets the rest; when the upload fails, the client does not notice. An error of the source destroys both. Time in which
 * the upload is slow does not count against the client's least rate.
 */
export class PassThroughReader extends Readable {
  readonly #upload: Writable;
  readonly #watch: RateWatch;
  #isOffered = false;
  #more: (() => void) | undefined;

  constructor(
    source: AsyncIterable<Buffer>,
    upload: Writable,
    leastRate: LeastRate,
    onTooSlow: (reader: Readable) => void,
  ) {
    super({ highWaterMark: 256 * 1024 });
    this.#upload = upload;
    this.#watch = watchRate(
      leastRate,
      () => this.#isOffered,
      () => onTooSlow(this),
    );
    upload.on('error', () => undefined);
    this.#pump(source).then(
      () => {
        upload.end();
        this.push(null);
      },
      (error: Error) => {
        upload.destroy(error);
        this.destroy(error);
      },
    );
  }

  override _read(): void {
    this.#more?.();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#watch.stop();
    this.#more?.();
    callback(error);
  }

  async #pump(source: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of source) {
      await Promise.all([this.#toClient(chunk), this.#toUpload(chunk)]);
      if (this.destroyed && this.#upload.destroyed) return;
    }
  }

  async #toClient(chunk: Buffer): Promise<void> {
    if (this.destroyed) return;
    this.#isOffered = true;
    if (!this.push(chunk)) {
      await new Promise<void>((resolve) => {
        this.#more = resolve;
      });
    }
    this.#isOffered = false;
    this.#watch.count(chunk.length);
  }

  async #toUpload(chunk: Buffer): Promise<void> {
    if (this.#upload.destroyed || this.#upload.write(chunk)) return;
    await untilDrained(this.#upload);
  }
}
