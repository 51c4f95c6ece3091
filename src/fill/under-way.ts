// What is told of the transfers under way: shapes of plain values, for those who only look.
import { PRIORITIES, type Priority } from '../lib/slots.ts';
import type { Digest } from '../oci/digest.ts';
import type { Beginning } from './beginning.ts';
import type { Trip } from './trip.ts';

/** One blob that comes in; times are ISO 8601 in UTC. */
export interface UnderWay {
  readonly digest: Digest;
  readonly repositories: readonly string[];
  /** Bytes that have come, and that the blob has; null until the primary has told. */
  readonly bytes: number;
  readonly size: number | null;
  readonly bytesPerSecond: number;
  readonly connections: number;
  /** Clients that read it now. */
  readonly readers: number;
  readonly priority: Priority;
  readonly startedAt: string;
  /** `waiting` for a slot or the primary's headers; `storing`: whole, and not in the secondary yet. */
  readonly state: 'waiting' | 'flying' | 'storing';
}

// More than a person looks at; thousands may wait.
const SHOWN_MAX = 200;

function ofBeginning(digest: Digest, { name, ticket, startedAt }: Beginning): UnderWay {
  return {
    digest,
    repositories: name === undefined ? [] : [name],
    bytes: 0,
    size: null,
    bytesPerSecond: 0,
    connections: 0,
    readers: 0,
    priority: ticket.priority,
    startedAt: new Date(startedAt).toISOString(),
    state: 'waiting',
  };
}

function ofTrip({ flight, ticket, repositories, speed }: Trip): UnderWay {
  const { digest, bytes, size = null, state, connections, readers, startedAt } = flight;
  const isFlying = state !== 'whole';
  return {
    digest,
    repositories,
    bytes,
    size,
    bytesPerSecond: isFlying ? speed.look(bytes, Date.now(), startedAt) : 0,
    connections: isFlying ? connections : 0,
    readers,
    priority: ticket.priority,
    startedAt: new Date(startedAt).toISOString(),
    state: isFlying ? 'flying' : 'storing',
  };
}

/** The first {@link SHOWN_MAX}: flights before those that wait, and of each those that clients wait for first. */
export function underWay(beginnings: ReadonlyMap<Digest, Beginning>, trips: readonly Trip[]): readonly UnderWay[] {
  const rank = ({ priority, state }: UnderWay): number =>
    PRIORITIES.indexOf(priority) + (state === 'waiting' ? PRIORITIES.length : 0);
  const flying = trips.filter(({ flight, isSettled }) => !isSettled && flight.state !== 'failed').map(ofTrip);
  const waiting = [...beginnings.entries()].slice(0, SHOWN_MAX).map((entry) => ofBeginning(...entry));
  return [...flying, ...waiting].toSorted((one, other) => rank(one) - rank(other)).slice(0, SHOWN_MAX);
}
