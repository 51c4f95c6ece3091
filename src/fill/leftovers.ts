// Leftovers: whole files of an earlier run, which are hashed again before anybody gets them.
import { hasherFor, matches, type Digest } from '../oci/digest.ts';
import type { Flight } from './flight.ts';
import type { Leftover, Spool } from './spool.ts';

/** The files of an earlier run that nobody has taken up yet. */
export interface Leftovers {
  /** Resolves when it is known what there is. */
  known(): Promise<void>;
  /** Begins with a blob's file, if there is one and nobody did. */
  takeUp(digest: Digest): Promise<void>;
  /** Looks for what there is, and takes up all of it. */
  recover(): Promise<void>;
  /** Leaves the rest for the next run. */
  leave(): Promise<void>;
}

/** What they need; `begin` takes one up, and others who ask for its blob wait for that. */
export interface LeftoversDeps {
  readonly spool: Pick<Spool, 'recover'>;
  readonly begin: (left: Leftover) => Promise<unknown>;
  readonly isOpen: () => boolean;
}

const CHECK_CHUNK = 1024 * 1024;

/** Hashes the file of a landed flight again; false when it is not what it was. */
export async function isWhole(flight: Flight, signal: AbortSignal): Promise<boolean> {
  const hash = hasherFor(flight.digest);
  const buffer = Buffer.allocUnsafe(CHECK_CHUNK);
  for (let position = 0; position < flight.edge;) {
    signal.throwIfAborted();
    const bytes = await flight.read(position, buffer.subarray(0, flight.edge - position));
    if (bytes.length === 0) return false;
    hash.update(bytes);
    position += bytes.length;
  }
  return matches(flight.digest, hash);
}

/** @see Leftovers */
export function createLeftovers({ spool, begin, isOpen }: LeftoversDeps): Leftovers {
  const files = new Map<Digest, Leftover>();
  let looked: Promise<void> = Promise.resolve();

  async function look(): Promise<void> {
    for (const left of await spool.recover()) {
      if (files.has(left.digest)) await left.file.dispose();
      else files.set(left.digest, left);
    }
  }

  async function takeUp(digest: Digest): Promise<void> {
    const left = files.get(digest);
    if (!left || !isOpen()) return;
    files.delete(digest);
    await begin(left);
  }

  return {
    known: () => looked,
    takeUp,
    async recover() {
      const looking = look();
      looked = looking.catch(() => undefined);
      await looking;
      for (const digest of files.keys()) await takeUp(digest);
    },
    async leave() {
      await Promise.all([...files.values()].map(({ file }) => file.leave()));
    },
  };
}
