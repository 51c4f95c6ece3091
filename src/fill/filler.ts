// The filler: at most one fill of each blob, and readers only from repositories that have the blob at the primary.
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { BACKGROUND, Claim, type Caller } from '../lib/claim.ts';
import type { Priority, Ticket } from '../lib/slots.ts';
import type { Digest } from '../oci/digest.ts';
import { BUSY_HERE, found, type Answer, type Failure } from '../registry/answer.ts';
import { BlobFill } from './blob-fill.ts';
import { atClientRate, clientStream } from './client-stream.ts';
import { CorruptBlobs, fillOptions, SHUTTING_DOWN } from './context.ts';
import type { FillContext, FillerDeps, FillerOptions } from './context.ts';
import { allFromPrimary } from './pass-through.ts';
import { PrimaryBlob } from './primary-blob.ts';
import { promote, untilOpen } from './queue.ts';
import type { ReaderOptions } from './reader.ts';
import type { OpenAt, SourceOptions } from './source.ts';
import { SourceFailed } from './source-errors.ts';
import { underWay, type UnderWay } from './under-way.ts';

/** The primary gave wrong bytes twice in a row: it is not asked for them again for a while. */
export interface Corrupt {
  readonly kind: 'corrupt';
}

/** @see Filler.beside */
export interface Beside {
  readonly open: OpenAt;
  /** How what it opens is to be read. */
  readonly how: Pick<SourceOptions, 'onBytes' | 'limit' | 'slot' | 'rates'>;
  /** The bytes of `source` for the stream `reader`, which is destroyed where it takes too few. */
  readonly atLeastRate: (source: AsyncIterable<Buffer>, reader: () => Readable) => AsyncGenerator<Buffer>;
}

/** Whether the answer that a fill got for its own repository is the answer for another one, too. */
function isAnswerFor(name: string, fill: BlobFill, { kind }: Failure): boolean {
  if (fill.name === name) return true;
  return fill.name !== undefined && (kind === 'unavailable' || kind === 'busy' || kind === 'locked-out');
}

/**
 * Brings blobs from the primary. No promise rejects because of a registry or the file system. Work that a caller waits
 * for is done in the caller's share of the queues, other work in the background's.
 */
export class Filler {
  readonly #context: FillContext;
  readonly #fills = new Map<Digest, BlobFill>();
  readonly #closing = new AbortController();
  #recovering: Promise<unknown> = Promise.resolve();

  constructor(deps: FillerDeps, given: FillerOptions = {}) {
    const options = fillOptions(given);
    this.#context = {
      ...deps,
      options,
      closing: this.#closing.signal,
      corrupt: new CorruptBlobs(options.corruptFor),
      reserve: (bytes) => this.#reserve(bytes),
      isReadOnly: false,
    };
  }

  /**
   * Joins or starts the fill of a blob, once the primary has confirmed the blob in this repository. The fill is held for
   * the caller, who releases it when its readers are made. @throws CallerLeft as soon as the caller has left
   */
  async open(
    name: string,
    digest: Digest,
    priority: Priority,
    caller = BACKGROUND,
  ): Promise<Answer<BlobFill> | Corrupt> {
    await this.#recovering;
    for (let isFirst = true; ; isFirst = false) {
      if (this.#closing.signal.aborted) return SHUTTING_DOWN;
      if (this.#context.corrupt.has(digest)) return this.#corruptFor(name, digest, caller);
      const known = this.#fills.get(digest);
      const joined = known?.isUsable ? known : undefined;
      const fill = joined ?? this.#add(BlobFill.requested(this.#context, digest, name, priority));
      if (fill.state === 'waiting') {
        const answer = await untilOpen(this.#context, fill, priority, caller);
        if (answer.kind !== 'found') {
          if (joined && !isAnswerFor(name, joined, answer)) continue;
          // The request of an earlier caller may be older than the push that this caller knows of.
          if (joined && isFirst && answer.kind === 'missing') continue;
          return answer;
        }
      }
      if (!fill.hold()) continue;
      promote(this.#context, fill.ticket, priority);
      const member = await fill.repositories.join(name, caller).catch(async (error: unknown) => {
        await fill.release();
        throw error;
      });
      if (member.kind === 'found') return found(fill);
      await fill.release();
      return member;
    }
  }

  /** A stream of a fill's bytes for a client of a repository that has it. */
  read(name: string, fill: BlobFill, range?: ReaderOptions): Readable {
    return clientStream(this.#context, name, fill, range);
  }

  /** Reads a client's part of a blob from the primary beside any fill: each body in a slot, for the client, counted. */
  beside(name: string, digest: Digest, caller: Caller = BACKGROUND): Beside {
    const ticket: Ticket = { priority: 'on-demand', claim: Claim.of(caller) };
    const { openForClient: open, slotPerBody: slot, reading } = new PrimaryBlob(this.#context, name, digest, ticket);
    const { onBytes, limit, rates } = reading;
    const atLeastRate: Beside['atLeastRate'] = (source, reader) => atClientRate(this.#context, source, reader);
    return { open, how: { onBytes, limit, slot, rates }, atLeastRate };
  }

  /** Brings a blob and resolves when it is stored in the secondary. */
  async fill(
    name: string,
    digest: Digest,
    priority: Priority,
    caller = BACKGROUND,
  ): Promise<Answer<undefined> | Corrupt> {
    const { isStored, store } = this.#context;
    if (!isStored(name)) return { kind: 'unsupported' };
    const answer = await this.open(name, digest, priority, caller);
    // As the answer of `fill`, `unsupported` means that the secondary takes no writes.
    if (answer.kind === 'unsupported') return { kind: 'unavailable', reason: 'the primary gives no blobs' };
    if (answer.kind !== 'found') return answer;
    const fill = answer.value;
    // Taken at once: a first body without a reader is closed at the end of this turn of the event loop.
    const first = fill.takeFirstBody();
    try {
      if (fill.state !== 'spilled' || fill.spooled?.edge) {
        const stored = await fill.repositories.storeIn(name);
        if (stored.kind === 'found' || fill.state !== 'spilled') return stored;
      }
      const body = (): Readable => Readable.from(allFromPrimary(fill, first), { objectMode: false });
      return await store.upload(name, digest, body, fill.size);
    } finally {
      first?.body.destroy();
      await fill.release();
    }
  }

  /** The blobs that come in now, those that clients wait for first; as many as a person can look at. */
  underWay(): readonly UnderWay[] {
    return underWay(this.#fills.values());
  }

  /** Checks and stores the files of an earlier run; requests for blobs wait until it is known which there are. */
  async recover(): Promise<void> {
    const finding = this.#findFiles();
    this.#recovering = finding.catch(() => undefined);
    for (const fill of await finding) {
      if (!this.#closing.signal.aborted) await untilOpen(this.#context, fill, 'background', BACKGROUND);
    }
  }

  /** Lets transfers and uploads end for `grace` milliseconds, then ends them; whole files stay for the next run. */
  async close(grace: number): Promise<void> {
    const limit = new AbortController();
    const flying = [...this.#fills.values()].filter(({ state }) => state !== 'waiting');
    await Promise.race([
      Promise.all(flying.map((fill) => fill.ended.then(() => fill.repositories.ended()))),
      delay(grace, undefined, { signal: limit.signal, ref: false }).catch(() => undefined),
    ]);
    limit.abort();
    this.#closing.abort(new SourceFailed('shutting down'));
    await Promise.all([...this.#fills.values()].map((fill) => fill.close()));
  }

  #add(fill: BlobFill): BlobFill {
    this.#fills.set(fill.digest, fill);
    void fill.dropped.then(() => {
      if (this.#fills.get(fill.digest) === fill) this.#fills.delete(fill.digest);
    });
    return fill;
  }

  async #findFiles(): Promise<BlobFill[]> {
    const files = await this.#context.spool.recover();
    const fills = files.map((file) => {
      if (!this.#fills.has(file.digest)) return this.#add(BlobFill.recovered(this.#context, file));
      void file.file.dispose();
      return undefined;
    });
    return fills.filter((fill) => fill !== undefined);
  }

  /** A client is told that the primary's bytes are wrong only if its repository has the blob. */
  async #corruptFor(name: string, digest: Digest, caller: Caller): Promise<Failure | Corrupt> {
    const { primary, lookups, options } = this.#context;
    const ask = (signal: AbortSignal): Promise<Answer<unknown>> =>
      primary.blobs.head(name, digest, options.timeout, signal);
    const member = await lookups.runFor(caller, ask, BUSY_HERE);
    return member.kind === 'found' ? { kind: 'corrupt' } : member;
  }

  /** Reserves space in the spool; for that it removes whole files that have no reader, stored ones first. */
  async #reserve(bytes: number): Promise<boolean> {
    const { spool } = this.#context;
    if (spool.reserve(bytes)) return true;
    if (!spool.couldHold(bytes)) return false;
    for (const isSettled of [true, false]) {
      for (const fill of this.#fills.values()) {
        if (fill.state !== 'whole' || fill.isHeld || fill.repositories.isSettled !== isSettled) continue;
        await fill.drop();
        if (spool.reserve(bytes)) return true;
      }
    }
    return false;
  }
}
