// The filler: at most one flight a blob, whoever asks, and only for repositories that the primary says have it.
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { Priority, Slots, Ticket } from '../lib/slots.ts';
import { hasherFor, type Digest } from '../oci/digest.ts';
import { found, type Answer } from '../registry/answer.ts';
import type { BlobBody } from '../registry/blob.ts';
import { DigestMismatch, Flight, verified, type FlightDeps } from './flight.ts';
import { PassThroughReader } from './pass-through.ts';
import { FlightReader, type ReaderOptions } from './reader.ts';
import { readSource } from './source.ts';
import type { Leftover, Spool } from './spool.ts';
import { Trip, type TripDeps } from './trip.ts';

/** The primary gave wrong bytes twice in a row: it is not asked for them again for a while. */
export interface Corrupt {
  readonly kind: 'corrupt';
}

/** What a filler is made of. */
export interface FillerDeps extends Omit<TripDeps, 'isOpen' | 'onSettled'> {
  readonly spool: Spool;
  readonly slots: Slots;
}

/** Times in milliseconds. */
export interface FillerOptions {
  /** To the headers of the primary's answer: on a client's behalf, and in the background. */
  readonly timeout?: number;
  readonly backgroundTimeout?: number;
  /** How long a stored blob's file stays, for those who asked the secondary just before it was there. */
  readonly linger?: number;
  /** How long a blob whose digest was wrong twice is not asked for again. */
  readonly corruptFor?: number;
}

/** Brings blobs from the primary. */
export interface Filler {
  /**
   * Joins or starts the flight of a blob, once the primary has confirmed the blob in this repository. The flight is
   * held for the caller, who releases it when its readers are made.
   */
  open(name: string, digest: Digest, priority: Priority): Promise<Answer<Flight> | Corrupt>;
  /** A stream of a flight's bytes for a member of it. */
  read(name: string, flight: Flight, options?: ReaderOptions): Readable;
  /** Brings a blob and resolves when it is stored in the secondary. */
  fill(name: string, digest: Digest, priority: Priority): Promise<Answer<undefined> | Corrupt>;
  /** Takes up what an earlier run left. */
  recover(): Promise<void>;
  /** Lets flights and uploads end for `grace` milliseconds, then ends them; whole files stay for the next run. */
  close(grace: number): Promise<void>;
}

const WRONG_MAX = 2;

/** The primary's bytes, checked, for a blob that the spool does not hold. */
function passing(flight: Flight, body: BlobBody | undefined): AsyncGenerator<Buffer> {
  const source = readSource(body, (position) => flight.open(position), { from: 0, until: flight.size });
  return verified(source, hasherFor(flight.digest), flight.digest);
}

/** @see Filler */
export function createFiller(deps: FillerDeps, options: FillerOptions = {}): Filler {
  const { primary, store, spool, slots, log, meter, isStored } = deps;
  const { timeout = 5_000, backgroundTimeout = 30_000, linger = 10_000, corruptFor = 600_000 } = options;
  const trips = new Map<Digest, Trip>();
  const starting = new Map<Digest, { name: string; ticket: Ticket; trip: Promise<Answer<Trip>> }>();
  const wrong = new LRUCache<Digest, number>({ max: 10_000, ttl: corruptFor });
  let closed = false;

  const tripDeps: TripDeps = { ...deps, isOpen: () => !closed, onSettled: dropLater };

  function flightDeps(name: string, digest: Digest, ticket: Ticket): FlightDeps {
    const patience = (): number => (ticket.priority === 'on-demand' ? timeout : backgroundTimeout);
    return {
      digest,
      spool,
      open: (position) => primary.blobs.open(name, digest, patience(), position > 0 ? { start: position } : undefined),
      onBytes: (count) => meter('primary_body_bytes_total', {}, count),
      onResume: (position, cause) => {
        meter('flight_resumes_total');
        log.warn({ repository: name, digest, position, cause: String(cause) }, 'blob transfer broke off, resuming');
      },
    };
  }

  async function start(name: string, digest: Digest, ticket: Ticket): Promise<Answer<Trip>> {
    const giveBack = await slots.take(ticket);
    const parts = flightDeps(name, digest, ticket);
    const answer = await parts.open(0);
    if (answer.kind !== 'found') {
      giveBack();
      return answer;
    }
    makeRoom(answer.value.size ?? 0);
    const flight = await Flight.start(parts, answer.value);
    const trip = new Trip(tripDeps, flight, ticket, [name]);
    trips.set(digest, trip);
    if (flight.state === 'flying') void trip.storeIn(name);
    void flight.ended.then(() => {
      giveBack();
      landed(name, trip);
    });
    return found(trip);
  }

  /** What a flight's end means for those who come after. */
  function landed(name: string, trip: Trip): void {
    const { digest, state, error } = trip.flight;
    meter('flights_total', { result: state });
    if (state === 'whole') return void wrong.delete(digest);
    if (error instanceof DigestMismatch) {
      meter('digest_mismatches_total', { registry: 'primary' });
      wrong.set(digest, (wrong.get(digest) ?? 0) + 1);
    }
    if (state === 'spilled') log.warn({ repository: name, digest }, 'no room in the spool: blob passed through');
    else log.error({ repository: name, digest, cause: String(error) }, 'blob transfer failed');
    // Whoever asked for the flight in this very turn still gets it.
    setImmediate(drop, trip);
  }

  function drop(trip: Trip): void {
    if (trips.get(trip.flight.digest) !== trip) return;
    trips.delete(trip.flight.digest);
    trip.flight.release();
  }

  function dropLater(trip: Trip): void {
    setTimeout(drop, linger, trip).unref();
  }

  /** Gives up files that are whole and that nobody reads, oldest first, until `bytes` fit. */
  function makeRoom(bytes: number): void {
    if (!spool.couldHold(bytes)) return;
    for (const trip of trips.values()) {
      if (spool.fits(bytes)) return;
      if (trip.flight.state === 'whole' && !trip.flight.isHeld) drop(trip);
    }
  }

  /** Whoever waits for a client goes first, also where somebody in the background asked before. */
  function promote(ticket: Ticket, priority: Priority): void {
    if (priority !== 'on-demand' || ticket.priority === 'on-demand') return;
    ticket.priority = 'on-demand';
    slots.poke();
  }

  function launch(name: string, digest: Digest, priority: Priority): Promise<Answer<Trip>> {
    const ticket: Ticket = { priority };
    const trip = start(name, digest, ticket).finally(() => starting.delete(digest));
    starting.set(digest, { name, ticket, trip });
    return trip;
  }

  /** The trip of a blob, its flight held for the caller. */
  async function tripFor(name: string, digest: Digest, priority: Priority): Promise<Answer<Trip> | Corrupt> {
    for (;;) {
      if (closed) return { kind: 'unavailable', reason: 'shutting down' };
      if ((wrong.get(digest) ?? 0) >= WRONG_MAX) return { kind: 'corrupt' };
      const flying = trips.get(digest);
      const usable = flying !== undefined && flying.flight.state !== 'failed';
      const under = starting.get(digest);
      if (under) promote(under.ticket, priority);
      const answer = usable ? found(flying) : await (under?.trip ?? launch(name, digest, priority));
      if (answer.kind !== 'found') {
        // What was said to another repository says nothing about this one.
        if (under && under.name !== name) continue;
        return answer;
      }
      const trip = answer.value;
      promote(trip.ticket, priority);
      const member = await trip.join(name, timeout);
      if (member.kind !== 'found') return member;
      if (trip.flight.hold()) return answer;
    }
  }

  async function open(name: string, digest: Digest, priority: Priority): Promise<Answer<Flight> | Corrupt> {
    const trip = await tripFor(name, digest, priority);
    return trip.kind === 'found' ? found(trip.value.flight) : trip;
  }

  function read(name: string, flight: Flight, range: ReaderOptions = {}): Readable {
    if (flight.state !== 'spilled' || flight.edge > 0 || range.start !== undefined)
      return new FlightReader(flight, range);
    meter('passed_through_total');
    const body = flight.claim();
    if (!body || !isStored(name)) return Readable.from(passing(flight, body), { objectMode: false });
    const upload = new PassThrough();
    void store
      .upload(name, flight.digest, () => upload, flight.size)
      .then((answer) => {
        meter('stores_total', { result: answer.kind === 'found' ? 'stored' : 'failed' });
      });
    return new PassThroughReader(passing(flight, body), upload);
  }

  async function fill(name: string, digest: Digest, priority: Priority): Promise<Answer<undefined> | Corrupt> {
    const answer = await tripFor(name, digest, priority);
    if (answer.kind !== 'found') return answer;
    const { flight } = answer.value;
    const body = (): Readable => Readable.from(passing(flight, flight.claim()), { objectMode: false });
    try {
      if (flight.state === 'spilled') return await store.upload(name, digest, body, flight.size);
      return await answer.value.storeIn(name);
    } finally {
      flight.release();
    }
  }

  /** A whole file of an earlier run is hashed again, stored in the repositories that were proved then, and gone. */
  async function takeUp(left: Leftover): Promise<void> {
    const { digest, size, names, file } = left;
    const ticket: Ticket = { priority: 'background' };
    const flight = Flight.landed(flightDeps(names[0]!, digest, ticket), file, size);
    if (closed || trips.has(digest) || !(await flight.check().catch(() => false))) return flight.release();
    const trip = new Trip(tripDeps, flight, ticket, names);
    trips.set(digest, trip);
    log.info({ digest, size, repositories: names }, 'taking up a blob of an earlier run');
    for (const name of names) void trip.storeIn(name);
  }

  async function recover(): Promise<void> {
    for (const left of await spool.recover()) await takeUp(left);
  }

  async function close(grace: number): Promise<void> {
    const limit = new AbortController();
    const ending = [...trips.values()].map((trip) => trip.ended());
    await Promise.race([
      Promise.all(ending),
      delay(grace, undefined, { signal: limit.signal, ref: false }).catch(() => undefined),
    ]);
    limit.abort();
    closed = true;
    for (const trip of trips.values()) trip.flight.abort(new Error('shutting down'));
    await Promise.all([...trips.values()].map((trip) => trip.flight.ended.then(() => trip.close())));
    trips.clear();
  }

  return { open, read, fill, recover, close };
}
