// A fill: one blob on its way from the primary through the spool into the secondary, and the readers who follow it.
import type { Readable } from 'node:stream';
import type { Priority } from '../lib/slots.ts';
import type { Digest } from '../oci/digest.ts';
import { found, type Answer } from '../registry/answer.ts';
import type { BlobBody } from '../registry/blob.ts';
import type { FillSlot } from './connection-slot.ts';
import { SHUTTING_DOWN, type FillContext } from './context.ts';
import { PrimaryBlob, whenClosed } from './primary-blob.ts';
import { createTicket, failureOf, type FillTicket } from './queue.ts';
import { Repositories } from './repositories.ts';
import { SourceFailed } from './source-errors.ts';
import { Speed } from './speed.ts';
import type { RecoveredFile } from './spool.ts';
import { SpooledBlob } from './spooled-blob.ts';
import { transfer } from './transfer.ts';

/**
 * `waiting` for a slot and the primary's answer, or for the check of a recovered file. `flying`: bytes come in. `whole`:
 * all are there and have the digest. `failed`: they will not come. `spilled`: the spool takes no more bytes, and each
 * reader continues from the primary.
 */
export type FillState = 'waiting' | 'flying' | 'whole' | 'failed' | 'spilled';

/** The download of one blob. Callers hold it while they use it, and release it afterwards. */
export class BlobFill {
  readonly digest: Digest;
  /** The repository that the primary is asked for; undefined for a recovered file. */
  readonly name: string | undefined;
  readonly ticket: FillTicket;
  readonly source: PrimaryBlob;
  readonly repositories: Repositories;
  readonly speed = new Speed();
  state: FillState = 'waiting';
  /** The blob's size in bytes where the primary gives it; always known when it is whole. */
  size: number | undefined;
  /** Milliseconds since the epoch: when it began to wait, later when bytes began to come. */
  startedAt = Date.now();
  /** Clients that read it now, and whether any ever has: the bytes cross only for the first one. */
  readers = 0;
  wasRead = false;
  /** Why it failed, or why the spool takes no more of it. */
  error: Error | undefined;
  /** Its bytes in the spool; undefined where the spool had no room, and before. */
  spooled: SpooledBlob | undefined;

  readonly #context: FillContext;
  readonly #onEnd = Promise.withResolvers<undefined>();
  readonly #onDrop = Promise.withResolvers<undefined>();
  readonly #stop = new AbortController();
  #opening: Promise<Answer<undefined>> | undefined;
  /** The body that was opened for a blob that the spool has no room for. */
  #firstBody: BlobBody | undefined;
  #holders = 1;
  #isDropped = false;

  /** Resolves when no more bytes come into the spool, whatever the state is then. */
  readonly ended = this.#onEnd.promise;
  /** Resolves when the filler releases it: no further caller joins it then. */
  readonly dropped = this.#onDrop.promise;

  private constructor(
    context: FillContext,
    digest: Digest,
    names: readonly string[],
    priority: Priority,
    name?: string,
  ) {
    this.#context = context;
    this.digest = digest;
    this.name = name;
    this.ticket = createTicket(priority, () => context.sizeOf(digest) !== undefined);
    this.source = new PrimaryBlob(context, names[0]!, digest, this.ticket);
    this.repositories = new Repositories(context, this, names);
  }

  /** A fill that will request the blob from the primary, in the repository `name`. */
  static requested(context: FillContext, digest: Digest, name: string, priority: Priority): BlobFill {
    return new BlobFill(context, digest, [name], priority, name);
  }

  /** A whole file of an earlier run, which is hashed before anybody reads it. */
  static recovered(context: FillContext, { digest, names, size, file }: RecoveredFile): BlobFill {
    const fill = new BlobFill(context, digest, names, 'background');
    fill.spooled = new SpooledBlob(digest, file);
    fill.size = size;
    // The check continues when all who wait for it leave.
    fill.ticket.claim.keep();
    return fill;
  }

  get isBegun(): boolean {
    return this.#opening !== undefined;
  }

  /** Whether others may join. */
  get isUsable(): boolean {
    return this.state !== 'failed' && !this.#isDropped && !(this.state === 'waiting' && this.ticket.claim.isAbandoned);
  }

  /** Begins with the first call; resolves when bytes can be read, or with why not. */
  open(): Promise<Answer<undefined>> {
    const context = this.#context;
    this.#opening ??= (this.name === undefined ? this.#check() : this.#request())
      .catch((error: unknown) => failureOf(context, this, error))
      .then(async (answer) => {
        this.ticket.claim.keep();
        if (answer.kind === 'found') return answer;
        this.#enter('failed');
        await this.drop();
        return answer;
      });
    return this.#opening;
  }

  async #request(): Promise<Answer<undefined>> {
    const answer = await this.source.begin();
    if (answer.kind !== 'found') return answer;
    // The blob exists: the transfer continues when all who wait for it leave.
    this.ticket.claim.keep();
    this.ticket.isUnknown = false;
    this.#context.slots.poke();
    const { body, slot } = answer.value;
    await this.#receive(body, slot).catch((error: unknown) => {
      slot.leave();
      throw error;
    });
    return found(undefined);
  }

  async #receive(body: BlobBody, slot: FillSlot): Promise<void> {
    const reserved = body.size ?? 0;
    const file = (await this.#context.reserve(reserved))
      ? await this.#context.spool.create(this.digest, reserved).catch((error: Error) => void (this.error = error))
      : undefined;
    this.size = body.size;
    this.startedAt = Date.now();
    if (file) {
      this.spooled = new SpooledBlob(this.digest, file);
      this.state = 'flying';
      void this.#fly(body, slot, this.spooled).finally(slot.leave);
      void this.repositories.storeIn(this.name!);
    } else {
      this.#firstBody = body;
      // This connection is used for longer than the transfer into the spool.
      whenClosed(body.body, slot.leave);
      this.#land('spilled', this.error);
    }
  }

  async #fly(body: BlobBody, slot: FillSlot, spooled: SpooledBlob): Promise<void> {
    const { signal } = this.#stop;
    const { parts } = this.#context.options;
    const take = async (chunk: Buffer, position: number): Promise<boolean> => {
      signal.throwIfAborted();
      if (this.size === undefined) {
        if (!(await this.#context.reserve(chunk.length))) spooled.stop();
        else spooled.grew(chunk.length);
      }
      return spooled.write(chunk, position);
    };
    try {
      const isComplete = await transfer(body, { source: this.source, parts, slot, take, signal });
      if (isComplete && (await spooled.isHashed())) {
        this.source.verify(spooled.hashToEdge());
        this.size = spooled.edge;
        this.#land('whole');
      } else {
        spooled.stop();
        this.#land('spilled', spooled.error);
      }
    } catch (error) {
      this.#land('failed', error as Error);
    }
  }

  /** The transfer is over. */
  #land(state: 'whole' | 'failed' | 'spilled', error?: Error): void {
    const { meter, log } = this.#context;
    this.error = error;
    this.#enter(state);
    meter('flights_total', { result: state });
    if (state === 'whole') return;
    const facts = { repository: this.name, digest: this.digest, ...(error ? { cause: String(error) } : {}) };
    if (state === 'spilled') log.warn(facts, 'no room in the spool: blob passed through');
    else log.error(facts, 'blob transfer failed');
    // Callers that asked for it in this turn of the event loop still get it.
    setImmediate(() => void this.drop());
  }

  /** Enters its last state. */
  #enter(state: 'whole' | 'failed' | 'spilled'): void {
    this.state = state;
    this.spooled?.wake();
    this.#onEnd.resolve(undefined);
    if (state === 'whole') this.repositories.onWhole();
  }

  /** Hashes a file of an earlier run, and stores it in the repositories that were confirmed then. */
  async #check(): Promise<Answer<undefined>> {
    const { log, closing } = this.#context;
    const { digest, size = 0, spooled } = this;
    const { names } = this.repositories;
    const isRight = await spooled!.isIntact(size, closing).catch(() => false);
    if (closing.aborted) {
      await spooled!.leave();
      return SHUTTING_DOWN;
    }
    if (!isRight) {
      log.error({ digest, repositories: names }, 'a blob of an earlier run is not what it was: removed');
      return { kind: 'missing', code: 'BLOB_UNKNOWN' };
    }
    log.info({ digest, size, repositories: names }, 'taking up a blob of an earlier run');
    for (const name of names) void this.repositories.storeIn(name);
    this.#enter('whole');
    return found(undefined);
  }

  /** Whether it is held by others than the filler. */
  get isHeld(): boolean {
    return this.#holders > 1;
  }

  /** Whether the last hold was released: its file is removed. */
  get isGone(): boolean {
    return this.#holders === 0;
  }

  /** Keeps its file until {@link release}; false where the file is gone. The first hold is the filler's. */
  hold(): boolean {
    if (this.isGone) return false;
    this.#holders += 1;
    return true;
  }

  /** Gives a hold back; the last call removes the file, and resolves when its space is free. */
  async release(): Promise<void> {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    this.takeFirstBody()?.body.destroy();
    await this.spooled?.dispose();
  }

  /** Releases the filler's hold. */
  async drop(): Promise<void> {
    if (this.#isDropped) return;
    this.#isDropped = true;
    this.#onDrop.resolve(undefined);
    // A first body that has no reader by now would occupy its connection for nothing.
    this.takeFirstBody()?.body.destroy();
    await this.release();
  }

  /** The body that was opened for a blob that does not fit into the spool; given to the first who asks. */
  takeFirstBody(): BlobBody | undefined {
    const body = this.#firstBody;
    this.#firstBody = undefined;
    return body;
  }

  /** Counts a client's stream among the readers until it is closed. */
  countReader(stream: Readable): void {
    this.readers += 1;
    this.wasRead = true;
    stream.once('close', () => (this.readers -= 1));
  }

  /** Ends everything, since the program ends; a whole blob that is not stored everywhere stays for the next run. */
  async close(): Promise<void> {
    this.#stop.abort(new SourceFailed('shutting down'));
    await this.#opening?.then(() => this.ended);
    const isUnstored = this.state === 'whole' && !this.repositories.isSettled;
    if (isUnstored) await this.repositories.keepFile();
    // A fill that still waits is a recovered file that was not requested.
    if (isUnstored || this.state === 'waiting') await this.spooled?.leave();
    else await this.spooled?.dispose();
    await this.drop();
  }
}
