// One blob at the primary: opens its bytes, whole or in part, on behalf of those who wait for them.
import type { Readable } from 'node:stream';
import { unlessAborted } from '../lib/abort.ts';
import { QueueFull, type Ticket } from '../lib/slots.ts';
import type { Digest } from '../oci/digest.ts';
import { BUSY_HERE, type Answer } from '../registry/answer.ts';
import type { BlobBody } from '../registry/blob.ts';
import { slotPerBody, type ConnectionSlot } from './connection-slot.ts';
import type { FillContext } from './context.ts';
import { createSizeLimit, withinMax } from './size-limit.ts';
import type { OpenAt, SourceOptions } from './source.ts';

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
      limit: createSizeLimit({
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
   * Opens the first body. Of a blob that is large, or whose size is not known, it is the first piece only: several
   * connections fetch the rest, and no byte crosses twice. Given up when all who wait have left.
   */
  async openFirst(): Promise<Answer<BlobBody>> {
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

  /** Notes whether the bytes of the whole blob had its digest. */
  noteDigest(isRight: boolean): void {
    const { corrupt, meter } = this.#context;
    if (isRight) return corrupt.delete(this.#digest);
    meter('digest_mismatches_total', { registry: 'primary' });
    this.#wrongBytes('the primary gave wrong bytes for this blob');
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
