// The origin: how flights ask the primary, within its slots, and what it is known for.
import type { Readable } from 'node:stream';
import { LRUCache } from 'lru-cache';
import type { Budget } from '../lib/budget.ts';
import type { Log } from '../lib/log.ts';
import type { Meter } from '../lib/meter.ts';
import type { Slots, Ticket } from '../lib/slots.ts';
import type { Digest } from '../oci/digest.ts';
import type { Answer } from '../registry/answer.ts';
import type { BlobBody } from '../registry/blob.ts';
import type { Registry } from '../registry/registry.ts';
import type { FlightDeps } from './flight.ts';

/** What an origin is made of. */
export interface OriginDeps {
  readonly primary: Registry;
  readonly slots: Slots;
  readonly budget: Budget;
  readonly log: Log;
  readonly meter: Meter;
}

/** Times in milliseconds. */
export interface OriginOptions {
  /** To the headers of the primary's answer: on a client's behalf, and in the background. */
  readonly timeout?: number;
  readonly backgroundTimeout?: number;
  /** How long a transfer that broke off is tried again without a byte in between. */
  readonly patience?: number | undefined;
  /** How long a blob whose digest was wrong twice is not asked for again. */
  readonly corruptFor?: number;
}

/** @see createOrigin */
export interface Origin {
  /** What a flight of a blob asks and tells; whoever starts it has a slot for its own connection. */
  partsOf(name: string, digest: Digest, ticket: Ticket): Omit<FlightDeps, 'digest' | 'spool' | 'reserve'>;
  /** Whether the primary gave wrong bytes twice in a row: it is not asked again for a while. */
  isCorrupt(digest: Digest): boolean;
}

const WRONG_MAX = 2;
const WRONG_KEPT = 10_000;

/** Calls `act` when a body is closed, or at once when it is already. */
export function whenClosed(body: Readable, act: () => void): void {
  if (body.closed) act();
  else body.once('close', act);
}

/** The primary as flights know it. */
export function createOrigin({ primary, slots, budget, log, meter }: OriginDeps, options: OriginOptions = {}): Origin {
  const { timeout = 5_000, backgroundTimeout = 30_000, corruptFor = 600_000, patience } = options;
  const wrong = new LRUCache<Digest, number>({ max: WRONG_KEPT, ttl: corruptFor });

  /** Opens a body that keeps its slot until it is closed. */
  async function inSlot(ticket: Ticket, open: () => Promise<Answer<BlobBody>>): Promise<Answer<BlobBody>> {
    const giveBack = await slots.take(ticket);
    let answer: Answer<BlobBody> | undefined;
    try {
      answer = await open();
      return answer;
    } finally {
      if (answer?.kind === 'found') whenClosed(answer.value.body, giveBack);
      else giveBack();
    }
  }

  return {
    isCorrupt: (digest) => (wrong.get(digest) ?? 0) >= WRONG_MAX,
    partsOf(name, digest, ticket) {
      const facts = { repository: name, digest };
      const open: FlightDeps['open'] = (position) => {
        const limit = ticket.priority === 'on-demand' ? timeout : backgroundTimeout;
        return primary.blobs.open(name, digest, limit, position > 0 ? { start: position } : undefined);
      };
      return {
        open,
        openBeside: (position) => inSlot(ticket, () => open(position)),
        patience,
        pace: (count, signal) => budget.spend(ticket, count, signal),
        onBytes: (count) => meter('primary_body_bytes_total', {}, count),
        onResume: (position, cause) => {
          meter('flight_resumes_total');
          log.warn({ ...facts, position, cause: String(cause) }, 'blob transfer broke off, resuming');
        },
        onVerdict: (isRight) => {
          if (isRight) return void wrong.delete(digest);
          meter('digest_mismatches_total', { registry: 'primary' });
          wrong.set(digest, (wrong.get(digest) ?? 0) + 1);
          log.error(facts, 'the primary gave wrong bytes for this blob');
        },
      };
    },
  };
}
