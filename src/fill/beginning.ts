// Beginnings: trips that are about to begin, one a blob, and those who wait for them.
import type { Budget } from '../lib/budget.ts';
import type { Log } from '../lib/log.ts';
import { PRIORITIES, type Priority, type Slots, type Ticket } from '../lib/slots.ts';
import type { Digest } from '../oci/digest.ts';
import type { Answer, Failure } from '../registry/answer.ts';
import type { Trip } from './trip.ts';

/** A trip that is about to begin. */
export interface Beginning {
  /** The repository that the primary is asked for; undefined for a file of an earlier run. */
  readonly name: string | undefined;
  readonly ticket: Ticket;
  /** Resolves when the primary is asked, after the wait for a slot. */
  readonly asked: Promise<undefined>;
  /** Never rejects. */
  readonly trip: Promise<Answer<Trip>>;
}

/** @see createBeginnings */
export interface Beginnings {
  of(digest: Digest): Beginning | undefined;
  /** Begins; `work` calls `onAsked` when it has a slot. Who waits too long for one is told so, and it begins later. */
  begin(
    digest: Digest,
    name: string | undefined,
    ticket: Ticket,
    work: (onAsked: () => void) => Promise<Answer<Trip>>,
  ): Promise<Answer<Trip>>;
  /** What somebody else's question brings; a client waits for it no longer than for its own. */
  join(under: Beginning, priority: Priority): Promise<Answer<Trip>>;
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
  { slots, budget, log, isOpen }: BeginningsDeps,
  { slotPatience, timeout }: BeginningsOptions,
): Beginnings {
  const under = new Map<Digest, Beginning>();

  function promote(ticket: Ticket, priority: Priority): void {
    if (PRIORITIES.indexOf(priority) >= PRIORITIES.indexOf(ticket.priority)) return;
    ticket.priority = priority;
    slots.poke();
    budget.poke();
  }

  /** A client's `next` once there is a slot; a failure where there is none for too long. */
  async function unlessQueued({ asked, trip }: Beginning, next: () => Promise<Answer<Trip>>): Promise<Answer<Trip>> {
    return (await inTime(Promise.race([asked, trip]), slotPatience, 'no free slot')) ?? next();
  }

  function failure(name: string | undefined, digest: Digest, error: unknown): Failure {
    if (!isOpen()) return SHUTTING_DOWN;
    log.error({ repository: name, digest, err: error }, 'blob transfer could not begin');
    return { kind: 'unavailable', reason: String(error) };
  }

  return {
    of: (digest) => under.get(digest),
    begin(digest, name, ticket, work) {
      const { promise: asked, resolve: onAsked } = Promise.withResolvers<undefined>();
      const trip = work(() => onAsked(undefined))
        .catch((error: unknown) => failure(name, digest, error))
        .finally(() => under.delete(digest));
      const beginning = { name, ticket, asked, trip };
      under.set(digest, beginning);
      return ticket.priority === 'on-demand' ? unlessQueued(beginning, () => trip) : trip;
    },
    async join(beginning, priority) {
      const { name, ticket, trip } = beginning;
      promote(ticket, priority);
      // A file of an earlier run needs neither a slot nor the primary.
      if (priority !== 'on-demand' || name === undefined) return trip;
      return unlessQueued(beginning, () => inTime(trip, timeout, 'no answer'));
    },
    isForAll: ({ name }, { kind }) =>
      name !== undefined && (kind === 'unavailable' || kind === 'busy' || kind === 'locked-out'),
    promote,
    async ended() {
      await Promise.all([...under.values()].map(({ trip }) => trip));
    },
  };
}
