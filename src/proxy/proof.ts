// Proof of local blobs: registries give sizes of files that are cut off, and only the bytes tell.
import type { FastifyBaseLogger } from 'fastify';
import { createSingleFlight } from '../lib/single-flight.ts';
import { hasherFor, matches } from '../oci/digest.ts';
import { found, type Answer } from '../registry/answer.ts';
import type { Place, ProxyDeps } from './deps.ts';

/** Whether local bytes are what their digest names; `unknown` where they could not be read now. */
export type Verdict = 'whole' | 'damaged' | 'unknown';

/** Tells whole local blobs from damaged ones. */
export interface Proof {
  /** Whether the local registry's size of a blob is right, where that can be told without reading a large blob. */
  judge(place: Place, size: number, log: FastifyBaseLogger): Promise<Verdict>;
  /** As `judge`, but reads the blob however large it is. */
  prove(place: Place, size: number, log: FastifyBaseLogger): Promise<Verdict>;
  /** Notes damage: clients get the blob from the primary until it is whole again. */
  damage(place: Place, log: FastifyBaseLogger, cause: string): void;
  /** Looks at a damaged blob again, now and then; nobody waits for it. */
  lookAgain(place: Place, log: FastifyBaseLogger): void;
}

// Up to this size (bytes) a blob is read twice rather than sent without a length.
const SMALL = 1024 * 1024;

/** A {@link Proof}; `timeout` in milliseconds to the headers of the local registry's answer. */
export function createProof({ secondary, storage, memory, meter, suspicion }: ProxyDeps, timeout: number): Proof {
  const reading = createSingleFlight<number | Exclude<Verdict, 'whole'>>();

  /** The bytes of a local blob, from its file where we can read it. */
  async function open(place: Place): Promise<Answer<AsyncIterable<Buffer>>> {
    const opened = await storage?.open(place);
    if (opened) return found(opened.file.createReadStream({ highWaterMark: SMALL }) as AsyncIterable<Buffer>);
    const answer = await secondary.blobs.open(place.name, place.digest, timeout);
    return answer.kind === 'found' ? found(answer.value.body as AsyncIterable<Buffer>) : answer;
  }

  /** Reads a local blob to its end: its size, or what is wrong. */
  async function read(place: Place): Promise<number | Exclude<Verdict, 'whole'>> {
    const { digest } = place;
    const answer = await open(place);
    if (answer.kind !== 'found') return answer.kind === 'missing' ? 'damaged' : 'unknown';
    const hash = hasherFor(digest);
    let size = 0;
    try {
      for await (const chunk of answer.value) {
        hash.update(chunk);
        size += chunk.length;
      }
    } catch {
      // A registry that is stopped breaks off, too; one whose file is short says at once how long it was to be.
      return 'unknown';
    }
    return matches(digest, hash) ? size : 'damaged';
  }

  function damage({ name, digest }: Place, log: FastifyBaseLogger, cause: string): void {
    memory.markDamaged(digest);
    meter('local_repairs_total');
    suspicion.suspect(name, digest);
    log.error({ repository: name, digest, cause }, 'local blob is damaged; clients get it from the primary');
  }

  async function prove(place: Place, size: number, log: FastifyBaseLogger): Promise<Verdict> {
    if (memory.sizeOf(place.digest) === size) return 'whole';
    const found = await reading(`${place.name}@${place.digest}`, () => read(place));
    if (typeof found === 'number') memory.learnSize(place.digest, found);
    if (found === size) return 'whole';
    if (found === 'unknown') return 'unknown';
    damage(place, log, `local size ${size}`);
    return 'damaged';
  }

  return {
    async judge(place, size, log) {
      const known = memory.sizeOf(place.digest);
      if (known === size) return 'whole';
      return known === undefined && size > SMALL ? 'unknown' : prove(place, size, log);
    },
    prove,
    damage,
    lookAgain(place, log) {
      if (!memory.isDue(place.digest)) return;
      void read(place).then((found) => {
        if (typeof found !== 'number') return;
        memory.learnSize(place.digest, found);
        memory.clearDamaged(place.digest);
        suspicion.clear(place.name, place.digest);
        log.info({ repository: place.name, digest: place.digest }, 'local blob is whole again');
      });
    },
  };
}
