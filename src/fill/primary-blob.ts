// One blob at the primary: opens its bytes, whole or in part, on behalf of those who wait for them.
import type { Hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { unlessAborted } from '../lib/abort.ts';
import { CallerLeft } from '../lib/claim.ts';
import { QueueFull, type Ticket } from '../lib/slots.ts';
import { matches, type Digest } from '../oci/digest.ts';
import { BUSY_HERE, found, type Answer } from '../registry/answer.ts';
import type { BlobBody } from '../registry/blob.ts';
import { FillSlot, slotPerBody, type ConnectionSlot } from './connection-slot.ts';
import type { FillContext } from './context.ts';
import { SizeLimit, withinMax } from './size-limit.ts';
import { discard, type OpenAt, type SourceOptions } from './source.ts';
import { DigestMismatch } from './source-errors.ts';

/** How the bodies of a blob are read. */
export type Reading = Pick<SourceOptions, 'onBytes' | 'onResume' | 'pace' | 'patience' | 'rates' | 'limit'>;

/** Calls `act` when a body is closed, or at once where it is closed already. */
export function whenClosed(body: Readable, act: () => void): void {
  if (body.closed) act();
  else body.once('close', act);
}

/** Opens a body that keeps its slot until it is closed. */
async function inSlot(taking: Promise<() => void>, open: () => Promise<Answer<BlobBody>>): Promise<Answer<BlobBody>> {
  const giveBack = await taking;
  let answer: Answer<BlobBody> | undefined;
  try {
    answer = await open();
    return answer;
  } finally {
    if (answer?.kind === 'found') whenClosed(answer.value.body, giveBack);
    else giveBack();
  }
}

/** A blob in one repository of the primary; `ticket` stands for those who wait for it. */
export class PrimaryBlob {
  readonly #context: FillContext;
  readonly #name: string;
  readonly #digest: Digest;
  readonly #ticket: Ticket;
  readonly reading: Reading;
  /** The slot of a body from {@link openInSlot} or {@link openForClient}. */
  readonly slotPerBody: ConnectionSlot;
  /** Connections of the transfer. */
  connections = 1;
  readonly #onSlot = Promise.withResolvers<undefined>();
  /** Resolves when the transfer has a slot for its request. */
  readonly hasSlot = this.#onSlot.promise;

  constructor(context: FillContext, name: string, digest: Digest, ticket: Ticket) {
    this.#context = context;
    this.#name = name;
    this.#digest = digest;
    this.#ticket = ticket;
    this.slotPerBody = slotPerBody(context.slots, ticket);
    const { log, meter, budget, options } = context;
    this.reading = {
      onBytes: (count) => meter('primary_body_bytes_total', {}, count),
      onResume: (position, cause) => {
        meter('flight_resumes_total');
        log.warn({ ...this.#facts, position, cause: String(cause) }, 'blob transfer broke off, resuming');
      },
      pace: (count, signal) => budget.spend(ticket, count, signal),
      patience: options.patience,
      rates: options.rates,
      limit: new SizeLimit({
        claimed: context.sizeOf(digest),
        max: options.blobMax,
        head: () => context.primary.blobs.head(name, digest, this.#timeout),
        onOverlong: () => this.#wrongBytes('the primary gave more bytes for this blob than it can have'),
      }),
    };
  }

  /** Opens a body in a slot that the caller has. */
  readonly open: OpenAt = (position, until) => this.#open(position, until);

  /** Opens a body that has a slot of its own until it is closed. */
  readonly openInSlot: OpenAt = (position, until) =>
    inSlot(this.#context.slots.takeAgain(this.#ticket), () => this.open(position, until));

  /**
   * As {@link openInSlot} for a client that has no answer yet: it waits for a slot for a limited time only, and nothing
   * is asked once the client has left.
   */
  readonly openForClient: OpenAt = async (position, until) => {
    const { slots, options } = this.#context;
    const limit = AbortSignal.timeout(options.slotPatience);
    const taking = unlessAborted(slots.take(this.#ticket), limit, (late) => late());
    try {
      return await inSlot(taking, () => this.#openWanted(position, until));
    } catch (error) {
      if (error instanceof QueueFull) return BUSY_HERE;
      if (error !== limit.reason) throw error;
      return { kind: 'unavailable', reason: `no free slot in ${options.slotPatience} ms` };
    }
  };

  /**
   * Begins the transfer: waits for a slot and opens the first body in it.
   * @throws QueueFull; CallerLeft when all who wait have left; the reason of the end when the program ends
   */
  async begin(): Promise<Answer<{ readonly body: BlobBody; readonly slot: FillSlot }>> {
    const { slots, closing } = this.#context;
    const ticket = this.#ticket;
    const giveBack = await unlessAborted(slots.take(ticket), closing, (late) => late());
    const slot = new FillSlot(slots, ticket, giveBack);
    this.#onSlot.resolve(undefined);
    let isOpen = false;
    try {
      const answer = await unlessAborted(this.#openFirst(), closing, discard);
      if (answer.kind !== 'found') return answer;
      if (ticket.claim?.isAbandoned) {
        // Callers that came since then have started another fill.
        discard(answer);
        throw new CallerLeft();
      }
      isOpen = true;
      return found({ body: answer.value, slot });
    } finally {
      if (!isOpen) slot.leave();
    }
  }

  /** Takes a slot for one more connection, if there is one to spare; gives the function that gives it back. */
  addConnection(): (() => void) | undefined {
    const giveBack = this.#context.slots.takeMore(this.#ticket);
    if (!giveBack) return undefined;
    this.connections += 1;
    return () => {
      this.connections -= 1;
      giveBack();
    };
  }

  /** Takes a free slot for the short time in which one piece ends and the next is requested. */
  takeFreeSlot(): (() => void) | undefined {
    return this.#context.slots.takeFree(this.#ticket);
  }

  /** Compares the hash of all bytes with the digest. @throws DigestMismatch */
  verify(hash: Hash): void {
    const { corrupt, meter } = this.#context;
    if (matches(this.#digest, hash)) return corrupt.delete(this.#digest);
    meter('digest_mismatches_total', { registry: 'primary' });
    this.#wrongBytes('the primary gave wrong bytes for this blob');
    throw new DigestMismatch(this.#digest);
  }

  get #facts(): object {
    return { repository: this.#name, digest: this.#digest };
  }

  /** Milliseconds to the headers of an answer. */
  get #timeout(): number {
    const { timeout, backgroundTimeout } = this.#context.options;
    return this.#ticket.priority === 'background' ? backgroundTimeout : timeout;
  }

  #wrongBytes(message: string): void {
    this.#context.corrupt.add(this.#digest);
    this.#context.log.error(this.#facts, message);
  }

  /**
   * Of a blob that is large, or whose size is not known, the first body is the first piece only: several connections
   * fetch the rest, and no byte crosses twice.
   */
  async #openFirst(): Promise<Answer<BlobBody>> {
    const { parts } = this.#context.options;
    const size = this.#context.sizeOf(this.#digest);
    if (size !== undefined && size < parts.above) return this.#openWanted(0);
    const answer = await this.#openWanted(0, parts.size);
    // An empty blob has no first piece, and some registries do not take ranges.
    if (answer.kind === 'unsatisfiable' || answer.kind === 'invalid') return this.#openWanted(0);
    if (answer.kind !== 'found') return answer;
    const { start, end, size: whole, body } = answer.value;
    if (start === 0 && (whole !== undefined || end === undefined)) return answer;
    body.destroy();
    return this.#openWanted(0);
  }

  #openWanted(position: number, until?: number): Promise<Answer<BlobBody>> {
    return this.#open(position, until, this.#ticket.claim?.signal);
  }

  async #open(position: number, until?: number, signal?: AbortSignal): Promise<Answer<BlobBody>> {
    const { primary, options } = this.#context;
    const end = until === undefined ? {} : { end: until - 1 };
    const range = position > 0 || until !== undefined ? { start: position, ...end } : undefined;
    return withinMax(await primary.blobs.open(this.#name, this.#digest, this.#timeout, range, signal), options.blobMax);
  }
}
