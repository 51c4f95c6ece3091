// Proof of local blobs: registries give sizes of files that are cut off, and only the bytes tell.
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

/** Where a local body ended, and for what cause; undefined: by itself. */
export interface Doubt {
  readonly what: string;
  readonly position: number;
  readonly cause: unknown;
}

/** The request that a proof is for. */
export type Asking = Pick<FastifyRequest, 'log' | 'caller'>;

// Up to this size (bytes) a blob is read twice rather than sent without a length.
const SMALL = 1024 * 1024;

/** Tells whole local blobs from damaged ones. */
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
      // A registry that is stopped breaks off, too; one whose file is short says at once how long it was to be.
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
   * A local body was not what it should be. Short or wrong by itself it is damaged: clients get the blob from the primary
   * until it is whole again. One that broke off for a cause may be a registry's that was stopped: it is looked into.
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

  /** Whether its right size is enough: a small one is read once, before a client gets it. */
  #isBelieved({ digest }: Place, size: number): boolean {
    const { memory } = this.#deps;
    return size > SMALL || memory.wasRead(digest);
  }

  /** Whether the local registry's size of a blob is right, where that can be told without reading a large blob. */
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
    // It is hashed on its way to the client, too.
    if (found === 'unknown') return isAsKnown ? 'whole' : 'unknown';
    this.#damage(place, request.log, `local size ${size}`);
    return 'damaged';
  }

  /** As `judge`, but asks the primary for a size that nobody has told yet: an answer is to name it. */
  async confirm(place: Place, size: number, request: Asking): Promise<Verdict> {
    if (size > SMALL) await this.#learn(place, request);
    return this.judge(place, size, request);
  }

  /** Looks at a damaged blob again, now and then; nobody waits for it. */
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
