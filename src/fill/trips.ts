// The trips under way, one a blob, and the room that their files have in the spool.
import type { Digest } from '../oci/digest.ts';
import type { Spool } from './spool.ts';
import type { Trip } from './trip.ts';

/** Keeps trips, and lets go of those that are done with. */
export interface Trips {
  get(digest: Digest): Trip | undefined;
  add(trip: Trip): void;
  /** Lets go of a trip; resolves when the space of its file is free, if nobody else holds it. */
  drop(trip: Trip): Promise<void>;
  /** Lets go of a settled one after `linger` ms. */
  dropLater(trip: Trip): void;
  /** Takes space of the spool; gives up whole files that nobody reads for it, first those that are stored. */
  reserve(bytes: number): Promise<boolean>;
  readonly all: readonly Trip[];
  /** Forgets all. */
  clear(): void;
}

/** @see Trips */
export function createTrips(spool: Spool, { linger }: { readonly linger: number }): Trips {
  const trips = new Map<Digest, Trip>();

  async function drop(trip: Trip): Promise<void> {
    if (trips.get(trip.flight.digest) !== trip) return;
    trips.delete(trip.flight.digest);
    // A body that nobody claimed by now would only hold its connection.
    trip.flight.claim()?.body.destroy();
    await trip.flight.release();
  }

  return {
    get: (digest) => trips.get(digest),
    add: (trip) => void trips.set(trip.flight.digest, trip),
    drop,
    dropLater(trip) {
      setTimeout(() => {
        // Somebody may have joined it from a repository that does not have it yet.
        if (trip.isSettled) void drop(trip);
      }, linger).unref();
    },
    async reserve(bytes) {
      if (spool.reserve(bytes)) return true;
      if (!spool.couldHold(bytes)) return false;
      for (const isSettled of [true, false]) {
        for (const trip of trips.values()) {
          if (trip.flight.state !== 'whole' || trip.flight.isHeld || trip.isSettled !== isSettled) continue;
          await drop(trip);
          if (spool.reserve(bytes)) return true;
        }
      }
      return false;
    },
    get all() {
      return [...trips.values()];
    },
    clear: () => trips.clear(),
  };
}
