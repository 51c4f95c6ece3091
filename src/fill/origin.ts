// The origin: how flights ask the primary, within its slots, and what it is known for.
import type { Readable } from 'node:stream';
import { unlessAborted } from '../lib/abort.ts';
import type { Budget } from '../lib/budget.ts';
import type { Log } from '../lib/log.ts';
import { createLru } from '../lib/lru.ts';
import type { Meter } from '../lib/meter.ts';
import { QueueFull, type Slots, type Ticket } from '../lib/slots.ts';
import type { Digest } from '../oci/digest.ts';
import { BUSY_HERE, type Answer } from '../registry/answer.ts';
import type { BlobBody } from '../registry/blob.ts';
import type { Registry } from '../registry/registry.ts';
import { createBound, withinMax } from './bound.ts';
import type { FlightDeps } from './flight.ts';
import type { OpenAt, SourceRates } from './source.ts';
import { PARTS, type PartsOptions } from './transfer.ts';
import { turnOfEach, type Turn } from './turn.ts';

/** What an origin is made of. */
export interface OriginDeps {
  readonly primary: Registry;
  readonly slots: Slots;
  readonly budget: Budget;
  readonly log: Log;
  readonly meter: Meter;
  /** The size of a blob, as far as it is known before the primary is asked. */
  readonly sizeOf: (digest: Digest) => number | undefined;
}

/** Times in milliseconds. */
export interface OriginOptions {
  /** To the headers of the primary's answer: on a client's behalf, and in the background. */
  readonly timeout?: number;
  readonly backgroundTimeout?: number;
  /** How long a client without an answer waits for a slot; what it waits for stays in the queue. */
  readonly slotPatience?: number;
  /** How long a transfer that broke off is tried again without progress in between. */
  readonly patience?: number | undefined;
  readonly rates?: SourceRates | undefined;
  /** The most bytes that are taken of a blob. */
  readonly blobMax?: number;
  /** How long a blob whose digest was wrong twice is not asked for again. */
  readonly corruptFor?: number;
  readonly parts?: PartsOptions | undefined;
}

/** What a flight asks and tells, and how its first body is opened. */
export interface OriginParts extends Omit<FlightDeps, 'digest' | 'spool' | 'reserve'> {
  /**
   * The body from its first byte; only a part of it, where the blob is large or its size not known. The question is given
   * up when all who wait for the ticket have left.
   */
  readonly begin: () => Promise<Answer<BlobBody>>;
  /** As `openBeside` for a client who has no answer yet: it does not wait for a slot without end. */
  readonly openPart: OpenAt;
}

/** @see createOrigin */
export interface Origin {
  /** What a flight of a blob asks and tells; whoever starts it has a slot for its own connection, `turn`. */
  partsOf(name: string, digest: Digest, ticket: Ticket, turn?: Turn): OriginParts;
  /** Whether the primary gave wrong bytes twice in a row: it is not asked again for a while. */
  isCorrupt(digest: Digest): boolean;
}

const WRONG_MAX = 2;

/** Calls `act` when a body is closed, or at once when it is already. */
export function whenClosed(body: Readable, act: () => void): void {
  if (body.closed) act();
  else body.once('close', act);
}

/**
 * Opens a blob from its first byte. Of one that is large, or whose size is not known, only the first piece is asked: what
 * came of the rest before others fetch it would cross twice.
 */
async function begin(open: OpenAt, size: number | undefined, { size: piece, above }: PartsOptions) {
  if (size !== undefined && size < above) return open(0);
  const answer = await open(0, piece);
  // Of an empty blob there is no first piece; and a registry need not understand ranges.
  if (answer.kind === 'unsatisfiable' || answer.kind === 'invalid') return open(0);
  if (answer.kind !== 'found') return answer;
  const { start, end, size: told, body } = answer.value;
  if (start === 0 && (told !== undefined || end === undefined)) return answer;
  body.destroy();
  return open(0);
}

/** Opens a body that keeps its slot until it is closed. */
async function inSlot(
  taking: ReturnType<Slots['take']>,
  open: () => Promise<Answer<BlobBody>>,
): Promise<Answer<BlobBody>> {
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

/** The primary as flights know it. */
export function createOrigin(
  { primary, slots, budget, log, meter, sizeOf }: OriginDeps,
  options: OriginOptions = {},
): Origin {
  const {
    timeout = 5_000,
    backgroundTimeout = 30_000,
    slotPatience = 30_000,
    corruptFor = 600_000,
    patience,
    rates,
    blobMax = Infinity,
    parts = PARTS,
  } = options;
  const wrong = createLru<Digest, number>('wrongBlobs', { ttl: corruptFor });

  /** As {@link inSlot}, but the wait for the slot has an end. */
  async function inSlotSoon(ticket: Ticket, open: () => Promise<Answer<BlobBody>>): Promise<Answer<BlobBody>> {
    const limit = AbortSignal.timeout(slotPatience);
    const taking = unlessAborted(slots.take(ticket), limit, (late) => late());
    try {
      return await inSlot(taking, open);
    } catch (error) {
      if (error instanceof QueueFull) return BUSY_HERE;
      if (error !== limit.reason) throw error;
      return { kind: 'unavailable', reason: `no free slot in ${slotPatience} ms` };
    }
  }

  return {
    isCorrupt: (digest) => (wrong.get(digest) ?? 0) >= WRONG_MAX,
    partsOf(name, digest, ticket, turn) {
      const facts = { repository: name, digest };
      const limit = (): number => (ticket.priority === 'background' ? backgroundTimeout : timeout);
      const openUnless = async (signal: AbortSignal | undefined, position: number, until?: number) => {
        const end = until === undefined ? {} : { end: until - 1 };
        const range = position > 0 || until !== undefined ? { start: position, ...end } : undefined;
        return withinMax(await primary.blobs.open(name, digest, limit(), range, signal), blobMax);
      };
      const open: OpenAt = (position, until) => openUnless(undefined, position, until);
      const openWanted: OpenAt = (position, until) => openUnless(ticket.claim?.signal, position, until);
      const wrongBytes = (what: string): void => {
        wrong.set(digest, (wrong.get(digest) ?? 0) + 1);
        log.error(facts, what);
      };
      const bound = createBound({
        claimed: sizeOf(digest),
        max: blobMax,
        head: () => primary.blobs.head(name, digest, limit()),
        onOverlong: () => wrongBytes('the primary gave more bytes for this blob than it can have'),
      });
      return {
        begin: () => begin(openWanted, sizeOf(digest), parts),
        open,
        openBeside: (position, until) => inSlot(slots.takeAgain(ticket), () => open(position, until)),
        openPart: (position, until) => inSlotSoon(ticket, () => openWanted(position, until)),
        more: () => slots.takeMore(ticket),
        early: () => slots.takeFree(ticket),
        parts,
        patience,
        rates,
        bound,
        turn,
        turnBeside: turnOfEach(slots, ticket),
        pace: (count, signal) => budget.spend(ticket, count, signal),
        onBytes: (count) => meter('primary_body_bytes_total', {}, count),
        onResume: (position, cause) => {
          meter('flight_resumes_total');
          log.warn({ ...facts, position, cause: String(cause) }, 'blob transfer broke off, resuming');
        },
        onVerdict: (isRight) => {
          if (isRight) return void wrong.delete(digest);
          meter('digest_mismatches_total', { registry: 'primary' });
          wrongBytes('the primary gave wrong bytes for this blob');
        },
      };
    },
  };
}
