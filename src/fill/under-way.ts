// The transfers under way, as plain values for the status page.
import { PRIORITIES, type Priority } from '../lib/slots.ts';
import type { Digest } from '../oci/digest.ts';
import type { BlobFill } from './blob-fill.ts';

/** One blob that comes in; times are ISO 8601 in UTC. */
export interface UnderWay {
  readonly digest: Digest;
  readonly repositories: readonly string[];
  /** Bytes that have come, and that the blob has; null until the primary has answered. */
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

// As many as a person looks at; thousands may wait.
const SHOWN_MAX = 200;

function shapeOf(fill: BlobFill): UnderWay {
  const { digest, ticket, repositories, spooled, size = null, readers, source, startedAt } = fill;
  const state = fill.state === 'waiting' ? 'waiting' : fill.state === 'whole' ? 'storing' : 'flying';
  const isFlying = state === 'flying';
  const bytes = state === 'waiting' ? 0 : (spooled?.bytes ?? 0);
  return {
    digest,
    repositories: repositories.names,
    bytes,
    size: state === 'waiting' ? null : size,
    bytesPerSecond: isFlying ? fill.speed.look(bytes, Date.now(), startedAt) : 0,
    connections: isFlying ? source.connections : 0,
    readers,
    priority: ticket.priority,
    startedAt: new Date(startedAt).toISOString(),
    state,
  };
}

function isUnderWay({ state, isBegun, repositories }: BlobFill): boolean {
  return isBegun && state !== 'failed' && !repositories.isSettled;
}

function rankOf({ ticket, state }: BlobFill): number {
  return PRIORITIES.indexOf(ticket.priority) + (state === 'waiting' ? PRIORITIES.length : 0);
}

/** The first {@link SHOWN_MAX}: flying before waiting ones, and of each those first that clients wait for. */
export function underWay(fills: Iterable<BlobFill>): readonly UnderWay[] {
  return [...fills]
    .filter(isUnderWay)
    .toSorted((one, other) => rankOf(one) - rankOf(other))
    .slice(0, SHOWN_MAX)
    .map(shapeOf);
}
