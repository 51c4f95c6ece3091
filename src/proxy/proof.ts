// Checks local blobs: a registry serves a file that was cut off as a complete blob, and only the bytes show it.
import type { FastifyBaseLogger, FastifyRequest } from 'fastify';
import { givenAtLeast, LEAST_RATE } from '../lib/least-rate.ts';
import { createSingleFlight } from '../lib/single-flight.ts';
import { hasherFor, matches } from '../oci/digest.ts';
import { BUSY_HERE, found, type Answer } from '../registry/answer.ts';
import type { Blobs } from '../registry/blob.ts';
import type { ProxyDeps, ProxyOptions } from './deps.ts';
import type { Place } from './place.ts';

/** Whether local bytes are what their digest names; `unknown` where they could not be read now. */
export type Verdict = 'whole' | 'damaged' | 'unknown';

/** Where a local body ended, and why; `cause` is undefined where it ended without an error. */
export interface Doubt {
  readonly what: string;
  readonly position: number;
  readonly cause: unknown;
}

/** The request that a proof is for. */
export type Asking = Pick<FastifyRequest, 'log' | 'caller'>;

// Up to this size (bytes) a blob is read twice rather than sent without a length.
const SMALL = 1024 * 1024;

/** Distinguishes whole local blobs from damaged ones. */
export class Proof {
  readonly #deps: ProxyDeps;
  readonly #options: ProxyOptions;
  readonly #reading = createSingleFlight<number | Exclude<Verdict, 'whole'>>();

  constructor(deps: ProxyDeps, options: ProxyOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** The bytes of a local blob, from its file where we can read it. */
  async #open(place: Place): Promise<Answer<AsyncIterable<Buffer>>> {
    const { secondary, storage } = this.#deps;
    const opened = await storage?.open(place);
    if (opened) return found(opened.file.createReadStream({ highWaterMark: SMALL }) as AsyncIterable<Buffer>);
    const answer = await secondary.blobs.open(place.name, place.digest, this.#options.secondaryTimeout);
    if (answer.kind !== 'found') return answer;
    const { body } = answer.value;
    return found(givenAtLeast(body as AsyncIterable<Buffer>, LEAST_RATE, () => body.destroy(new Error('too slow'))));
  }

  /** Reads a local blob to its end: its size, or what is wrong. */
  async #read(place: Place): Promise<number | Exclude<Verdict, 'whole'>> {
    const { memory } = this.#deps;
    const { digest } = place;
    const answer = await this.#open(place);
    if (answer.kind !== 'found') return answer.kind === 'missing' ? 'damaged' : 'unknown';
    const hash = hasherFor(digest);
    let size = 0;
    try {
      for await (const chunk of answer.value) {
        hash.update(chunk);
        size += chunk.length;
      }
    } catch {
      // A registry that is being stopped breaks off, too. A file that is short does not: its Content-Length is short as
      // well.
      return 'unknown';
    }
    if (!matches(digest, hash)) return 'damaged';
    memory.markRead(digest);
    return size;
  }

  #damage({ name, digest }: Place, log: FastifyBaseLogger, cause: string): void {
    const { memory, meter, suspicion } = this.#deps;
    memory.markDamaged(digest);
    meter('local_repairs_total');
    suspicion.suspect(name, digest);
    log.error({ repository: name, digest, cause }, 'local blob is damaged; clients get it from the primary');
  }

  /**
   * Reports a local body that was not what it should be. One that ended without an error is damaged: clients get the
   * blob from the primary until it is whole again. One that broke off with an error may come from a registry that was
   * stopped: replication reads the blob.
   */
  doubt(place: Place, log: FastifyBaseLogger, { what, position, cause }: Doubt): void {
    const { meter, suspicion } = this.#deps;
    if (cause === undefined)
      return this.#damage(place, log, `${what} ended at byte ${position}, or is of another digest`);
    meter('local_repairs_total');
    suspicion.suspect(place.name, place.digest);
    const facts = { repository: place.name, digest: place.digest, position, cause: String(cause) };
    log.warn(facts, 'local blob broke off; continued from the primary');
  }

  /** Learns the size of a blob from the primary, unless it is known. */
  async #learn({ name, digest }: Place, { caller }: Asking): Promise<void> {
    const { primary, memory, places } = this.#deps;
    if (memory.sizeOf(digest) !== undefined) return;
    const ask = (signal: AbortSignal): ReturnType<Blobs['head']> =>
      primary.blobs.head(name, digest, this.#options.primaryTimeout, signal);
    const head = await places.lookups.runFor(caller, ask, BUSY_HERE);
    if (head.kind === 'found' && head.value.size !== undefined) memory.learnSize(digest, head.value.size);
  }

  /** Whether the right size is proof enough: a small blob is read once, before a client gets it. */
  #isBelieved({ digest }: Place, size: number): boolean {
    const { memory } = this.#deps;
    return size > SMALL || memory.wasRead(digest);
  }

  /** Whether the local registry's size of a blob is right, as far as that is known without reading a large blob. */
  async judge(place: Place, size: number, request: Asking): Promise<Verdict> {
    const { memory } = this.#deps;
    const known = memory.sizeOf(place.digest);
    if (known === size && this.#isBelieved(place, size)) return 'whole';
    return known === undefined && size > SMALL ? 'unknown' : this.prove(place, size, request);
  }

  /** As `confirm`, but reads the blob however large it is where the primary does not say. */
  async prove(place: Place, size: number, request: Asking): Promise<Verdict> {
    const { memory } = this.#deps;
    if (size > SMALL) await this.#learn(place, request);
    const isAsKnown = memory.sizeOf(place.digest) === size;
    if (isAsKnown && this.#isBelieved(place, size)) return 'whole';
    const found = await this.#reading(`${place.name}@${place.digest}`, () => this.#read(place));
    if (typeof found === 'number') memory.learnSize(place.digest, found);
    if (found === size) return 'whole';
    // It is hashed on its way to the client anyway.
    if (found === 'unknown') return isAsKnown ? 'whole' : 'unknown';
    this.#damage(place, request.log, `local size ${size}`);
    return 'damaged';
  }

  /** As `judge`, but asks the primary for a size that is not known yet, since the answer has to name it. */
  async confirm(place: Place, size: number, request: Asking): Promise<Verdict> {
    if (size > SMALL) await this.#learn(place, request);
    return this.judge(place, size, request);
  }

  /** Reads a damaged blob again if that is due. Callers do not wait for it. */
  lookAgain(place: Place, log: FastifyBaseLogger): void {
    const { memory, suspicion } = this.#deps;
    if (!memory.isDue(place.digest)) return;
    void this.#read(place).then((found) => {
      if (typeof found !== 'number') return;
      memory.learnSize(place.digest, found);
      memory.clearDamaged(place.digest);
      suspicion.clear(place.name, place.digest);
      log.info({ repository: place.name, digest: place.digest }, 'local blob is whole again');
    });
  }
}
