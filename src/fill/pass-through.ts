// Pass-through: a blob that the spool does not hold goes from the primary to its client and into the store at once.
import { PassThrough, Readable, type Writable } from 'node:stream';
import type { Answer } from '../registry/answer.ts';
import type { BlobBody } from '../registry/blob.ts';
import { watchRate, type LeastRate, type RateWatch } from '../lib/least-rate.ts';
import type { Flight } from './flight.ts';
import type { Store } from './store.ts';

// A store that takes nothing for this long (ms) is given up, so that it never holds up the client.
const STORE_PATIENCE = 5_000;

/** The primary's bytes, checked, for somebody who has nothing of a spilled flight yet; `first` is open already. */
export function passing(flight: Flight, first: BlobBody | undefined): AsyncGenerator<Buffer> {
  return flight.rest({ from: 0, until: flight.size, isChecked: true, first });
}

/** An upload of a flight's blob whose bytes are written by somebody else; it is destroyed when the store is done. */
export function uploadBeside(
  store: Store,
  name: string,
  flight: Flight,
): { upload: Writable; answer: Promise<Answer<undefined>> } {
  const upload = new PassThrough();
  const answer = store
    .upload(name, flight.digest, () => upload, flight.size)
    .catch((error: unknown): Answer<undefined> => ({ kind: 'unavailable', reason: String(error) }));
  // Whoever does not take it must not hold up the client.
  return { upload, answer: answer.finally(() => upload.destroy()) };
}

/** Resolves when `sink` takes more, is gone, or was given up for taking nothing. */
function untilDrained(sink: Writable): Promise<void> {
  return new Promise((resolve) => {
    const patience = setTimeout(() => sink.destroy(new Error('the store is too slow')), STORE_PATIENCE);
    const done = (): void => {
      clearTimeout(patience);
      sink.off('drain', done).off('close', done);
      resolve();
    };
    sink.on('drain', done).on('close', done);
  });
}

/**
 * A stream of `source` for one client that writes the same bytes to `store`. When the client leaves, the store still
 * gets the rest; when the store fails, the client does not notice. An error of the source destroys both. A store that is
 * slow is not the client's fault.
 */
export class PassThroughReader extends Readable {
  readonly #store: Writable;
  readonly #watch: RateWatch;
  #isOffered = false;
  #more: (() => void) | undefined;

  constructor(
    source: AsyncIterable<Buffer>,
    store: Writable,
    leastRate: LeastRate,
    onTooSlow: (reader: Readable) => void,
  ) {
    super({ highWaterMark: 256 * 1024 });
    this.#store = store;
    this.#watch = watchRate(
      leastRate,
      () => this.#isOffered,
      () => onTooSlow(this),
    );
    store.on('error', () => undefined);
    this.#pump(source).then(
      () => {
        store.end();
        this.push(null);
      },
      (error: Error) => {
        store.destroy(error);
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
      await Promise.all([this.#toClient(chunk), this.#toStore(chunk)]);
      if (this.destroyed && this.#store.destroyed) return;
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

  async #toStore(chunk: Buffer): Promise<void> {
    if (this.#store.destroyed || this.#store.write(chunk)) return;
    await untilDrained(this.#store);
  }
}
