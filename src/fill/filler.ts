// The filler: at most one flight a blob, whoever asks, and only for repositories that the primary says have it.
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { unlessAborted } from '../lib/abort.ts';
import type { Budget } from '../lib/budget.ts';
import { BACKGROUND, CallerLeft, Claim, type Caller } from '../lib/claim.ts';
import { LEAST_RATE, takenAtLeast, type LeastRate } from '../lib/least-rate.ts';
import type { Priority, Slots, Ticket } from '../lib/slots.ts';
import type { Digest } from '../oci/digest.ts';
import { BUSY_HERE, found, type Answer, type Failure } from '../registry/answer.ts';
import type { BlobBody } from '../registry/blob.ts';
import { Flight, type FlightDeps } from './flight.ts';
import { createBeginnings, SHUTTING_DOWN, type FillTicket } from './beginning.ts';
import { createLeftovers, isWhole } from './leftovers.ts';
import { createOrigin, whenClosed, type OriginOptions, type OriginParts } from './origin.ts';
import { passing, PassThroughReader, uploadBeside } from './pass-through.ts';
import { FlightReader, type ReaderOptions } from './reader.ts';
import { SourceFailed, type OpenAt, type SourceOptions } from './source.ts';
import type { Leftover, Spool } from './spool.ts';
import { Trip, type TripDeps } from './trip.ts';
import { createTrips } from './trips.ts';
import { FlightSlot, type Turn } from './turn.ts';
import { underWay, type UnderWay } from './under-way.ts';

/** The primary gave wrong bytes twice in a row: it is not asked for them again for a while. */
export interface Corrupt {
  readonly kind: 'corrupt';
}

/** What a filler is made of. */
export interface FillerDeps extends Omit<
  TripDeps,
  'isOpen' | 'onSettled' | 'onReadOnly' | 'onWritable' | 'storeAgainAfter'
> {
  readonly spool: Spool;
  readonly slots: Slots;
  readonly budget: Budget;
  /** The size of a blob, as far as it is known before the primary is asked. */
  readonly sizeOf: (digest: Digest) => number | undefined;
}

/** Times in milliseconds. */
export interface FillerOptions extends OriginOptions {
  /** How long a stored blob's file stays, for those who asked the secondary just before it was there. */
  readonly linger?: number;
  /** When a blob that could not be stored is tried again; the pause doubles. */
  readonly storeAgainAfter?: number;
  /** What a client takes at least of what has not gone into the spool. */
  readonly leastRate?: LeastRate;
}

/** @see Filler.beside */
export interface Beside {
  readonly open: OpenAt;
  /** How what it opens is to be read. */
  readonly how: Pick<SourceOptions, 'onBytes' | 'bound' | 'turn' | 'rates'>;
  /** What `source` gives to the stream `reader`, which is dropped where it takes too little. */
  readonly atLeastRate: (source: AsyncIterable<Buffer>, reader: () => Readable) => AsyncGenerator<Buffer>;
}

/**
 * Brings blobs from the primary. None of its promises rejects for what a registry or the file system does. What a caller
 * waits for is done in its share; it is the background's where none is given.
 */
export interface Filler {
  /**
   * Joins or starts the flight of a blob, once the primary has confirmed the blob in this repository. The flight is
   * held for the caller, who releases it when its readers are made. @throws CallerLeft as soon as the caller has left.
   */
  open(name: string, digest: Digest, priority: Priority, caller?: Caller): Promise<Answer<Flight> | Corrupt>;
  /** A stream of a flight's bytes for a member of it. */
  read(name: string, flight: Flight, options?: ReaderOptions): Readable;
  /**
   * How a client's part of a blob is read from the primary beside any flight: each body within a slot, on the client's
   * behalf, and counted.
   */
  beside(name: string, digest: Digest, caller?: Caller): Beside;
  /** Brings a blob and resolves when it is stored in the secondary. */
  fill(name: string, digest: Digest, priority: Priority, caller?: Caller): Promise<Answer<undefined> | Corrupt>;
  /** The blobs that come in now, those that clients wait for first; as many as a person can look at. */
  underWay(): readonly UnderWay[];
  /** Takes up what an earlier run left. */
  recover(): Promise<void>;
  /** Lets flights and uploads end for `grace` milliseconds, then ends them; whole files stay for the next run. */
  close(grace: number): Promise<void>;
}

function discard(late: Answer<BlobBody>): void {
  if (late.kind === 'found') late.value.body.destroy();
}

/** @see Filler */
export function createFiller(deps: FillerDeps, options: FillerOptions = {}): Filler {
  const { store, spool, slots, budget, log, meter, isStored } = deps;
  const {
    timeout = 5_000,
    slotPatience = 30_000,
    linger = 10_000,
    storeAgainAfter = 30_000,
    leastRate = LEAST_RATE,
  } = options;
  const origin = createOrigin(deps, { ...options, timeout, slotPatience });
  const trips = createTrips(spool, { linger });
  const closing = new AbortController();
  const isOpen = (): boolean => !closing.signal.aborted;
  const beginnings = createBeginnings({ slots, budget, log, isOpen, sizeOf: deps.sizeOf }, { timeout, slotPatience });

  const leftovers = createLeftovers({ spool, begin: beginWith, isOpen });

  // Whether it was said that the secondary takes no writes, since it last took one.
  let isReadOnlySaid = false;
  const tripDeps: TripDeps = {
    ...deps,
    isOpen,
    onSettled: trips.dropLater,
    onReadOnly(facts) {
      if (!isReadOnlySaid)
        log.warn(facts, 'the secondary takes no writes: blobs are not stored; their files are kept for now');
      isReadOnlySaid = true;
    },
    onWritable: () => (isReadOnlySaid = false),
    storeAgainAfter,
  };

  const partsOf = (name: string, digest: Digest, ticket: Ticket, turn?: Turn): FlightDeps & OriginParts => ({
    digest,
    spool,
    reserve: trips.reserve,
    ...origin.partsOf(name, digest, ticket, turn),
  });

  async function start(name: string, digest: Digest, ticket: FillTicket, onAsked: () => void): Promise<Answer<Trip>> {
    const { signal } = closing;
    const slot = new FlightSlot(slots, ticket, await unlessAborted(slots.take(ticket), signal, (late) => late()));
    onAsked();
    try {
      const parts = partsOf(name, digest, ticket, slot);
      const answer = await unlessAborted(parts.begin(), signal, discard);
      if (answer.kind !== 'found') {
        slot.leave();
        return answer;
      }
      if (ticket.claim.isAbandoned) {
        // Whoever came after those who left asks anew: two flights of one blob would not know of each other.
        discard(answer);
        throw new CallerLeft();
      }
      // Now it is known to exist: the transfer goes on whoever leaves.
      ticket.claim.keep();
      ticket.isUnknown = false;
      slots.poke();
      const flight = await Flight.start(parts, answer.value);
      const trip = new Trip(tripDeps, flight, ticket, [name]);
      trips.add(trip);
      // What goes past the spool keeps the connection for longer than its flight.
      if (flight.state === 'spilled') whenClosed(answer.value.body, slot.leave);
      else {
        void trip.storeIn(name);
        void flight.ended.then(slot.leave);
      }
      void flight.ended.then(() => landed(name, trip));
      return found(trip);
    } catch (error) {
      slot.leave();
      throw error;
    }
  }

  /** What a flight's end means for those who come after. */
  function landed(name: string, trip: Trip): void {
    const { digest, state, error } = trip.flight;
    meter('flights_total', { result: state });
    if (state === 'whole') return;
    const facts = { repository: name, digest, ...(error ? { cause: String(error) } : {}) };
    if (state === 'spilled') log.warn(facts, 'no room in the spool: blob passed through');
    else log.error(facts, 'blob transfer failed');
    // Whoever asked for the flight in this very turn still gets it.
    setImmediate(trips.drop, trip);
  }

  function launch(name: string, digest: Digest, priority: Priority, caller: Caller): Promise<Answer<Trip>> {
    const ticket = beginnings.ticketFor(digest, priority);
    return beginnings.begin(digest, name, ticket, caller, (onAsked) => start(name, digest, ticket, onAsked));
  }

  /** That a blob is known to be wrong is told to those only whose repository has it. */
  async function corruptFor(name: string, digest: Digest, caller: Caller): Promise<Failure | Corrupt> {
    const ask = (signal: AbortSignal): Promise<Answer<unknown>> =>
      deps.primary.blobs.head(name, digest, timeout, signal);
    const member = await deps.lookups.runFor(caller, ask, BUSY_HERE);
    return member.kind === 'found' ? { kind: 'corrupt' } : member;
  }

  /** The trip of a blob, its flight held for the caller. */
  async function tripFor(
    name: string,
    digest: Digest,
    priority: Priority,
    caller: Caller,
  ): Promise<Answer<Trip> | Corrupt> {
    await leftovers.known();
    for (let isFirst = true; ; isFirst = false) {
      if (!isOpen()) return SHUTTING_DOWN;
      if (origin.isCorrupt(digest)) return corruptFor(name, digest, caller);
      void leftovers.takeUp(digest);
      const flying = trips.get(digest);
      const isUsable = flying !== undefined && flying.flight.state !== 'failed';
      const under = beginnings.of(digest);
      const answer = isUsable
        ? found(flying)
        : await (under ? beginnings.join(under, priority, caller) : launch(name, digest, priority, caller));
      if (answer.kind !== 'found') {
        // What was said of another repository says nothing about this one.
        if (under && under.name !== name && !beginnings.isForAll(under, answer)) continue;
        // A question of somebody before us may have passed the moment of the push that our client knows of.
        if (under && isFirst && answer.kind === 'missing') continue;
        return answer;
      }
      const trip = answer.value;
      if (!trip.flight.hold()) continue;
      beginnings.promote(trip.ticket, priority);
      const member = await trip.join(name, timeout, caller).catch(async (error: unknown) => {
        await trip.flight.release();
        throw error;
      });
      if (member.kind === 'found') return answer;
      await trip.flight.release();
      return member;
    }
  }

  async function open(
    name: string,
    digest: Digest,
    priority: Priority,
    caller = BACKGROUND,
  ): Promise<Answer<Flight> | Corrupt> {
    const trip = await tripFor(name, digest, priority, caller);
    return trip.kind === 'found' ? found(trip.value.flight) : trip;
  }

  /** Nobody keeps a slot for next to nothing. */
  function dropReader(reader: Readable): void {
    if (reader.destroyed) return;
    meter('readers_dropped_total');
    reader.destroy(new SourceFailed('the reader took too little'));
  }

  const paced: Beside['atLeastRate'] = (source, reader) => takenAtLeast(source, leastRate, () => dropReader(reader()));

  function read(name: string, flight: Flight, range: ReaderOptions = {}): Readable {
    if (flight.state !== 'spilled' || flight.edge > 0 || range.start !== undefined)
      return new FlightReader(flight, range, { leastRate, onTooSlow: dropReader });
    meter('passed_through_total');
    const body = flight.claim();
    const source = passing(flight, body);
    if (!body || !isStored(name)) {
      const stream: Readable = Readable.from(
        paced(source, () => stream),
        { objectMode: false },
      );
      return stream;
    }
    const { upload, answer } = uploadBeside(store, name, flight);
    void answer.then(({ kind }) => meter('stores_total', { result: kind === 'found' ? 'stored' : 'failed' }));
    return new PassThroughReader(source, upload, leastRate, dropReader);
  }

  function beside(name: string, digest: Digest, caller = BACKGROUND): Beside {
    const ticket: Ticket = { priority: 'on-demand', claim: Claim.of(caller) };
    const parts = origin.partsOf(name, digest, ticket);
    const { openPart: open, turnBeside: turn, onBytes, bound, rates } = parts;
    return { open, how: { onBytes, bound, turn, rates }, atLeastRate: paced };
  }

  async function fill(
    name: string,
    digest: Digest,
    priority: Priority,
    caller = BACKGROUND,
  ): Promise<Answer<undefined> | Corrupt> {
    if (!isStored(name)) return { kind: 'unsupported' };
    const answer = await tripFor(name, digest, priority, caller);
    // Here that word is the secondary's: it takes no writes.
    if (answer.kind === 'unsupported') return { kind: 'unavailable', reason: 'the primary gives no blobs' };
    if (answer.kind !== 'found') return answer;
    const trip = answer.value;
    const { flight } = trip;
    // Now: what nobody has claimed in this turn is closed.
    const first = flight.claim();
    try {
      if (flight.state !== 'spilled' || flight.edge > 0) {
        const stored = await trip.storeIn(name);
        if (stored.kind === 'found' || flight.state !== 'spilled') return stored;
      }
      const body = (): Readable => Readable.from(passing(flight, first), { objectMode: false });
      return await store.upload(name, digest, body, flight.size);
    } finally {
      first?.body.destroy();
      await flight.release();
    }
  }

  /** A whole file of an earlier run is hashed again, and stored in the repositories that were proved then. */
  async function takeUp({ digest, size, names, file }: Leftover, ticket: Ticket): Promise<Answer<Trip>> {
    const flight = Flight.landed(partsOf(names[0]!, digest, ticket), file, size);
    const isRight = await isWhole(flight, closing.signal).catch(() => false);
    if (!isOpen()) {
      await flight.leave();
      return SHUTTING_DOWN;
    }
    if (!isRight) {
      log.error({ digest, repositories: names }, 'a blob of an earlier run is not what it was: removed');
      await flight.release();
      return { kind: 'missing', code: 'BLOB_UNKNOWN' };
    }
    log.info({ digest, size, repositories: names }, 'taking up a blob of an earlier run');
    const trip = new Trip(tripDeps, flight, ticket, names);
    trips.add(trip);
    for (const name of names) void trip.storeIn(name);
    return found(trip);
  }

  /** Those who ask for the blob meanwhile wait for its file. */
  function beginWith(left: Leftover): Promise<Answer<Trip>> {
    const ticket = beginnings.ticketFor(left.digest, 'background');
    return beginnings.begin(left.digest, undefined, ticket, BACKGROUND, () => takeUp(left, ticket));
  }

  async function close(grace: number): Promise<void> {
    const limit = new AbortController();
    const ending = trips.all.map((trip) => trip.ended());
    await Promise.race([
      Promise.all(ending),
      delay(grace, undefined, { signal: limit.signal, ref: false }).catch(() => undefined),
    ]);
    limit.abort();
    closing.abort(new SourceFailed('shutting down'));
    await beginnings.ended();
    await leftovers.leave();
    const left = trips.all;
    trips.clear();
    for (const { flight } of left) flight.abort(new SourceFailed('shutting down'));
    await Promise.all(left.map((trip) => trip.flight.ended.then(() => trip.close())));
  }

  return {
    open,
    read,
    beside,
    fill,
    underWay: () => underWay(beginnings.all, trips.all),
    recover: leftovers.recover,
    close,
  };
}
