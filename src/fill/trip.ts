// A trip: a flight and what it is for, the repositories that have the blob, and its uploads into the secondary.
import type { Caller } from '../lib/claim.ts';
import type { Log } from '../lib/log.ts';
import type { Meter } from '../lib/meter.ts';
import type { Places } from '../lib/places.ts';
import { createSharedWork } from '../lib/shared-work.ts';
import type { Ticket } from '../lib/slots.ts';
import { BUSY_HERE, failureText, found, type Answer } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';
import type { Flight } from './flight.ts';
import { FlightReader } from './reader.ts';
import { Speed } from './speed.ts';
import type { Store } from './store.ts';

/** What every trip needs. */
export interface TripDeps {
  readonly primary: Registry;
  /** How many questions the primary is asked at once by HEAD. */
  readonly lookups: Places;
  readonly store: Store;
  readonly log: Log;
  readonly meter: Meter;
  /** Whether blobs of this repository are stored in the secondary. */
  readonly isStored: (name: string) => boolean;
  /** Whether uploads may still begin. */
  readonly isOpen: () => boolean;
  /** Told whenever the blob is whole and in the secondary wherever it belongs. */
  readonly onSettled: (trip: Trip) => void;
  /** Told of each blob that the secondary does not take since it takes no writes, and of each that it takes. */
  readonly onReadOnly: (facts: object) => void;
  readonly onWritable: () => void;
  /** When (ms) a blob that could not be stored is tried again; the pause doubles. */
  readonly storeAgainAfter: number;
}

// How long (ms) a whole blob may take to be stored before its file is made one that survives a crash.
const KEEP_AFTER = 1_000;
const STORE_AGAIN_MAX = 600_000;

/** One flight's trip. */
export class Trip {
  readonly flight: Flight;
  readonly ticket: Ticket;
  readonly speed = new Speed();
  readonly #deps: TripDeps;
  /** Repositories for which the primary has confirmed the blob. */
  readonly #members = new Set<string>();
  readonly #stores = new Map<string, Promise<Answer<undefined>>>();
  #isSettled = false;
  #failures = 0;
  readonly #joining = createSharedWork<Answer<unknown>>();

  constructor(deps: TripDeps, flight: Flight, ticket: Ticket, members: Iterable<string>) {
    this.#deps = deps;
    this.flight = flight;
    this.ticket = ticket;
    for (const name of members) this.#members.add(name);
    void flight.ended.then(() => this.#land());
  }

  /** Whether the blob is whole and in the secondary wherever it belongs. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** The repositories of which the primary has confirmed that they have the blob. */
  get repositories(): readonly string[] {
    return [...this.#members];
  }

  /** Resolves when the flight and the uploads that were begun have ended. */
  async ended(): Promise<void> {
    await this.flight.ended;
    await Promise.allSettled(this.#stores.values());
  }

  /** The program ends: a whole blob that is not stored everywhere is left for the next run, else nothing is. */
  async close(): Promise<void> {
    if (this.flight.state !== 'whole' || this.#isSettled) await this.flight.discard();
    else {
      await this.#keep();
      await this.flight.leave();
    }
    await this.flight.release();
  }

  /**
   * Proves with the primary that the blob belongs to this repository, too.
   * @throws CallerLeft as soon as the caller has left.
   */
  async join(name: string, timeout: number, caller: Caller): Promise<Answer<unknown>> {
    if (this.#members.has(name)) return found(undefined);
    const { digest } = this.flight;
    let isOurs = false;
    const ask = (): Promise<Answer<unknown>> =>
      this.#joining(name, caller, (claim) => {
        isOurs = true;
        const { primary, lookups } = this.#deps;
        return lookups.run(claim, (signal) => primary.blobs.head(name, digest, timeout, signal), BUSY_HERE);
      });
    let answer = await ask();
    // A question of somebody before us may have passed the moment of the push that our client knows of.
    if (answer.kind === 'missing' && !isOurs) answer = await ask();
    if (answer.kind !== 'found' || this.#members.has(name)) return answer;
    this.#members.add(name);
    this.#isSettled = false;
    if (this.flight.state !== 'spilled' && this.#deps.isStored(name)) void this.storeIn(name);
    else void this.#settle();
    return answer;
  }

  /** Stores the blob in a repository: streaming while it comes in, or linked from one that has it by then. */
  storeIn(name: string): Promise<Answer<undefined>> {
    if (!this.#deps.isStored(name)) return Promise.resolve({ kind: 'unsupported' });
    const under = this.#stores.get(name);
    if (under) return under;
    const first = this.#stores.entries().next().value;
    const storing = this.#holding(() => (first ? this.#link(name, ...first) : this.#upload(name)));
    this.#stores.set(name, storing);
    void storing.then((answer) => this.#afterStore(name, answer));
    return storing;
  }

  async #holding(work: () => Promise<Answer<undefined>>): Promise<Answer<undefined>> {
    if (!this.flight.hold()) return { kind: 'unavailable', reason: 'its file is gone' };
    try {
      return await work();
    } catch (error) {
      return { kind: 'unavailable', reason: String(error) };
    } finally {
      void this.flight.release();
    }
  }

  #upload(name: string): Promise<Answer<undefined>> {
    const { flight } = this;
    return this.#deps.store.uploadAgain(
      name,
      flight.digest,
      () => new FlightReader(flight),
      () => flight.size,
      () => this.#deps.isOpen() && (flight.state === 'flying' || flight.state === 'whole'),
    );
  }

  async #link(name: string, from: string, stored: Promise<Answer<undefined>>): Promise<Answer<undefined>> {
    const { flight } = this;
    const answer = await stored;
    await flight.ended;
    if (flight.state !== 'whole') return { kind: 'unavailable', reason: 'the blob did not arrive' };
    if (answer.kind !== 'found') return this.#upload(name);
    return this.#deps.store.link(name, flight.digest, from, () => new FlightReader(flight), flight.size ?? 0);
  }

  async #afterStore(name: string, answer: Answer<undefined>): Promise<void> {
    const { log, meter } = this.#deps;
    const { flight } = this;
    meter('stores_total', { result: answer.kind === 'found' ? 'stored' : 'failed' });
    if (answer.kind === 'found') {
      this.#deps.onWritable();
      return this.#settle();
    }
    // A failed one is forgotten, so that it can be tried again.
    this.#stores.delete(name);
    await flight.ended;
    if (flight.state !== 'whole' || flight.isGone) return;
    const reason = failureText(answer);
    const facts = { repository: name, digest: flight.digest, reason };
    // It refuses writes of all blobs alike: of thousands one line is enough.
    if (answer.kind === 'unsupported') this.#deps.onReadOnly(facts);
    else log.warn(facts, 'blob not stored; its file is kept for now');
    await this.#keep();
    this.#storeLater(name);
  }

  /** Tries again while the file is there, which it need not be for long: replication makes up for what is lost. */
  #storeLater(name: string): void {
    const { isOpen, storeAgainAfter } = this.#deps;
    if (!isOpen()) return;
    const pause = Math.min(STORE_AGAIN_MAX, storeAgainAfter * 2 ** this.#failures);
    this.#failures += 1;
    setTimeout(() => {
      if (isOpen() && !this.flight.isGone) void this.storeIn(name);
    }, pause).unref();
  }

  /** The transfer has ended: a blob that takes a while to be stored survives a crash meanwhile. */
  #land(): void {
    if (this.flight.state !== 'whole') return;
    void this.#settle();
    setTimeout(() => void (this.#isSettled || this.#keep()), KEEP_AFTER).unref();
  }

  async #keep(): Promise<void> {
    await this.flight.keep([...this.#members].filter(this.#deps.isStored)).catch(() => undefined);
  }

  /** Tells when nothing is left to do: whole, and every repository that wants it has it. */
  async #settle(): Promise<void> {
    await this.flight.ended;
    if (this.flight.state !== 'whole') return;
    const stores = [...this.#members].filter(this.#deps.isStored).map((name) => this.#stores.get(name));
    if (stores.includes(undefined)) return;
    const answers = await Promise.all(stores);
    const stillAll = [...this.#members].filter(this.#deps.isStored).length === stores.length;
    if (this.#isSettled || !stillAll || !answers.every((answer) => answer?.kind === 'found')) return;
    this.#isSettled = true;
    this.#deps.onSettled(this);
  }
}
