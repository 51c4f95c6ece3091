// Beginnings: trips that are about to begin, one a blob, and those who wait for them.
import type { Budget } from '../lib/budget.ts';
import { Claim, type Caller } from '../lib/claim.ts';
import type { Log } from '../lib/log.ts';
import { PRIORITIES, QueueFull, type Priority, type Slots, type Ticket } from '../lib/slots.ts';
import type { Digest } from '../oci/digest.ts';
import { BUSY_HERE, type Answer, type Failure } from '../registry/answer.ts';
import type { Trip } from './trip.ts';

/** A ticket of those who wait for one blob. */
export interface FillTicket extends Ticket {
  readonly claim: Claim;
}

/** A trip that is about to begin. */
export interface Beginning {
  /** The repository that the primary is asked for; undefined for a file of an earlier run. */
  readonly name: string | undefined;
  readonly ticket: FillTicket;
  /** Resolves when the primary is asked, after the wait for a slot. */
  readonly asked: Promise<undefined>;
  /** Never rejects. */
  readonly trip: Promise<Answer<Trip>>;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

/** @see createBeginnings */
export interface Beginnings {
  of(digest: Digest): Beginning | undefined;
  /** Those under way, by their blobs. */
  readonly all: ReadonlyMap<Digest, Beginning>;
  /**
   * A ticket for a blob. When all who wait for it have left, a blob that a manifest names keeps its place in the queue, to
   * be brought ahead of those who come again; any other is given up.
   */
  ticketFor(digest: Digest, priority: Priority): FillTicket;
  /**
   * Begins; `work` calls `onAsked` when it has a slot. Who waits too long for one is told so.
   * @throws CallerLeft as soon as the caller has left.
   */
  begin(
    digest: Digest,
    name: string | undefined,
    ticket: FillTicket,
    caller: Caller,
    work: (onAsked: () => void) => Promise<Answer<Trip>>,
  ): Promise<Answer<Trip>>;
  /**
   * What somebody else's question brings; a client waits for it no longer than for its own.
   * @throws CallerLeft as soon as the caller has left.
   */
  join(under: Beginning, priority: Priority, caller: Caller): Promise<Answer<Trip>>;
  /** Whether an answer to one repository is one to another, too: that the primary cannot be asked is. */
  isForAll(under: Beginning, answer: Answer<Trip>): boolean;
  /** Whoever a client waits for goes first, also where somebody with less haste asked before. */
  promote(ticket: Ticket, priority: Priority): void;
  /** Resolves when all that are under way have begun or failed. */
  ended(): Promise<void>;
}

/** What beginnings are made of. */
export interface BeginningsDeps {
  readonly slots: Slots;
  readonly budget: Budget;
  readonly log: Log;
  readonly isOpen: () => boolean;
  /** The size of a blob, as far as it is known before the primary is asked. */
  readonly sizeOf: (digest: Digest) => number | undefined;
}

/** What everybody gets who asks while the program ends. */
export const SHUTTING_DOWN: Failure = { kind: 'unavailable', reason: 'shutting down' };

/** What clients wait for, in milliseconds. */
export interface BeginningsOptions {
  /** For a slot. */
  readonly slotPatience: number;
  /** To the primary's headers. */
  readonly timeout: number;
}

/** What `work` gives within `time` ms, or a failure for that reason. */
async function inTime<T>(work: Promise<T>, time: number, reason: string): Promise<T | Failure> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Failure>((resolve) => {
    timer = setTimeout(resolve, time, { kind: 'unavailable', reason: `${reason} in ${time} ms` });
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** The beginnings of one filler. */
export function createBeginnings(
  { slots, budget, log, isOpen, sizeOf }: BeginningsDeps,
  { slotPatience, timeout }: BeginningsOptions,
): Beginnings {
  const under = new Map<Digest, Beginning>();

  function promote(ticket: Ticket, priority: Priority): void {
    if (PRIORITIES.indexOf(priority) < PRIORITIES.indexOf(ticket.priority)) ticket.priority = priority;
    // Another share may have come to the ticket.
    slots.poke();
    budget.poke();
  }

  /** A client's `next` once there is a slot; a failure where there is none for too long. */
  async function unlessQueued({ asked, trip }: Beginning, next: () => Promise<Answer<Trip>>): Promise<Answer<Trip>> {
    return (await inTime(Promise.race([asked, trip]), slotPatience, 'no free slot')) ?? next();
  }

  function ticketFor(digest: Digest, priority: Priority): FillTicket {
    const isKnown = (): boolean => sizeOf(digest) !== undefined;
    const claim = new Claim(() => {
      if (ticket.priority === 'on-demand') ticket.priority = 'ahead';
      return isKnown();
    });
    const ticket: FillTicket = { priority, claim, isUnknown: priority === 'on-demand' && !isKnown() };
    return ticket;
  }

  function failure(name: string | undefined, digest: Digest, { claim }: FillTicket, error: unknown): Failure {
    if (!isOpen()) return SHUTTING_DOWN;
    if (error instanceof QueueFull) return BUSY_HERE;
    if (claim.isAbandoned) return { kind: 'unavailable', reason: 'given up' };
    log.error({ repository: name, digest, err: error }, 'blob transfer could not begin');
    return { kind: 'unavailable', reason: String(error) };
  }

  return {
    of(digest) {
      const beginning = under.get(digest);
      // What is being given up is no answer for those who come now.
      return beginning?.ticket.claim.isAbandoned ? undefined : beginning;
    },
    all: under,
    ticketFor,
    begin: (digest, name, ticket, caller, work) =>
      ticket.claim.wait(caller, () => {
        const { promise: asked, resolve: onAsked } = Promise.withResolvers<undefined>();
        const trip = work(() => onAsked(undefined))
          .catch((error: unknown) => failure(name, digest, ticket, error))
          .finally(() => {
            ticket.claim.keep();
            if (under.get(digest) === beginning) under.delete(digest);
          });
        const beginning: Beginning = { name, ticket, asked, trip, startedAt: Date.now() };
        under.set(digest, beginning);
        return ticket.priority === 'on-demand' ? unlessQueued(beginning, () => trip) : trip;
      }),
    join: (beginning, priority, caller) =>
      beginning.ticket.claim.wait(caller, () => {
        const { name, ticket, trip } = beginning;
        promote(ticket, priority);
        // A file of an earlier run needs neither a slot nor the primary.
        if (priority !== 'on-demand' || name === undefined) return trip;
        return unlessQueued(beginning, () => inTime(trip, timeout, 'no answer'));
      }),
    isForAll: ({ name }, { kind }) =>
      name !== undefined && (kind === 'unavailable' || kind === 'busy' || kind === 'locked-out'),
    promote,
    async ended() {
      await Promise.all([...under.values()].map(({ trip }) => trip));
    },
  };
}
