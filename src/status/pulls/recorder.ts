// What is remembered of pulls: the last ones, the traffic of the last hour and day, and totals. All of it is bounded.
import { createLru, detached } from '../../lib/lru.ts';
import { pullCauseInWords } from '../registry-state.ts';
import { Ring } from './ring.ts';
import { Tally } from './tally.ts';
import type { Pull, PullTotals, Traffic, TrafficWindow } from '../api/pulls.ts';

/** What a recorder is made of; `clock` gives milliseconds since the epoch. */
export interface PullRecorderDeps {
  readonly clock?: () => number;
  /** Body bytes that have crossed from the primary since the start. */
  readonly wanBytes: () => number;
}

/** Pulls that are kept. */
export const PULLS_KEPT = 200;

// Characters that are kept of each text: repositories have 255 at the most, and references no more than a digest has.
const TEXT_MAX = 256;

const MINUTE = 60_000;

/** A text that holds on to no longer one, such as the headers that it was cut from. */
function clipped(text: string | null): string | null {
  return text === null || text.length <= TEXT_MAX ? text : detached(`${text.slice(0, TEXT_MAX - 1)}…`);
}

/** What is kept of a pull. */
function kept(pull: Omit<Pull, 'id'>): Omit<Pull, 'id'> {
  return {
    at: pull.at,
    method: pull.method,
    kind: pull.kind,
    repository: clipped(pull.repository),
    reference: clipped(pull.reference),
    digest: clipped(pull.digest),
    origin: pull.origin,
    status: pull.status,
    bytes: pull.bytes,
    ms: pull.ms,
    ttfbMs: pull.ttfbMs,
    user: clipped(pull.user),
    client: clipped(pull.client),
    address: clipped(pull.address),
    cause: clipped(pull.cause && pullCauseInWords(pull.cause)),
  };
}

function nextMidnight(now: number): number {
  return new Date(now).setHours(24, 0, 0, 0);
}

/** Remembers pulls. */
export class PullRecorder {
  readonly #clock: () => number;
  readonly #wanBytes: () => number;
  readonly #hour = new Ring(MINUTE, 60);
  readonly #day = new Ring(15 * MINUTE, 96);
  readonly #sinceStart = new Tally();
  readonly #today = new Tally();
  #todayEndsAt: number;
  #crossed = 0;
  readonly #last: Pull[] = [];
  #count = 0;
  readonly #listeners = new Set<(pull: Pull) => void>();
  readonly #lastPulls = createLru<string, string>('lastPulls', { sizeOf: (at) => at.length });

  constructor({ clock = Date.now, wanBytes }: PullRecorderDeps) {
    this.#clock = clock;
    this.#wanBytes = wanBytes;
    this.#todayEndsAt = nextMidnight(clock());
  }

  /** `isShared`: its bytes came from the primary, but for another client: they crossed no second time. */
  record(given: Omit<Pull, 'id'>, isShared = false): void {
    this.sample();
    const pull = { id: (this.#count += 1), ...kept(given) };
    this.#last[(pull.id - 1) % PULLS_KEPT] = pull;
    this.#notePull(pull);
    const saved = pull.origin === 'primary' && !isShared ? 0 : pull.bytes;
    for (const tally of this.#tallies(this.#clock())) tally.add(pull, saved);
    for (const listener of this.#listeners) listener(pull);
  }

  /** The last pulls, newest first; only those after the one with the id `after`. */
  recent(limit: number, after = 0): readonly Pull[] {
    const count = this.#count;
    const first = Math.max(after, count - Math.min(limit, PULLS_KEPT), 0);
    const length = Math.max(0, count - first);
    return Array.from({ length }, (_, index) => this.#last[(count - 1 - index) % PULLS_KEPT]!);
  }

  /** When a tag or manifest was pulled last since the start, ISO 8601. */
  lastPulledAt(repository: string, reference: string): string | null {
    return this.#lastPulls.get(`${repository} ${reference}`) ?? null;
  }

  totals(): { readonly today: PullTotals; readonly sinceStart: PullTotals } {
    this.sample();
    return { today: this.#today.totals(), sinceStart: this.#sinceStart.totals() };
  }

  traffic(window: TrafficWindow): Traffic {
    this.sample();
    const ring = window === 'hour' ? this.#hour : this.#day;
    return { window, stepMs: ring.stepMs, points: ring.points(this.#clock()) };
  }

  /** Calls `listener` with each pull; the answer ends that. */
  onPull(listener: (pull: Pull) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Notes the bytes that have crossed by now in the present minute; to be called every few seconds. */
  sample(): void {
    const now = this.#clock();
    if (now >= this.#todayEndsAt) {
      this.#today.clear();
      this.#todayEndsAt = nextMidnight(now);
    }
    const total = this.#wanBytes();
    const more = total - this.#crossed;
    if (more === 0) return;
    this.#crossed = total;
    for (const tally of this.#tallies(now)) tally.wanBytes += more;
  }

  #tallies(now: number): readonly Tally[] {
    return [this.#hour.at(now), this.#day.at(now), this.#today, this.#sinceStart];
  }

  /** A pull by tag is one of its digest as well. */
  #notePull({ kind, status, repository, reference, digest, at }: Pull): void {
    if (kind !== 'manifest' || status >= 400 || repository === null) return;
    for (const name of [reference, digest]) if (name !== null) this.#lastPulls.set(`${repository} ${name}`, at);
  }
}
