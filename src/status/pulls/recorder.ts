// What is remembered of pulls: the last ones, the traffic of the last hour and day, and totals. All of it is bounded.
import { createLru, detached } from '../../lib/lru.ts';
import { pullCauseInWords } from '../registry-state.ts';
import { Ring } from './ring.ts';
import { Tally } from './tally.ts';
import type { Pull, PullTotals, Traffic, TrafficWindow } from './types.ts';

/** Remembers pulls. */
export interface PullRecorder {
  /**
   * `isShared`: its bytes came from the primary, but for another client: they crossed no second time.
   */
  record(pull: Omit<Pull, 'id'>, isShared?: boolean): void;
  /** The last pulls, newest first; only those after the one with the id `after`. */
  recent(limit: number, after?: number): readonly Pull[];
  /** When a tag or manifest was pulled last since the start, ISO 8601. */
  lastPulledAt(repository: string, reference: string): string | null;
  totals(): { readonly today: PullTotals; readonly sinceStart: PullTotals };
  traffic(window: TrafficWindow): Traffic;
  /** Calls `listener` with each pull; the answer ends that. */
  onPull(listener: (pull: Pull) => void): () => void;
  /** Notes the bytes that have crossed by now in the present minute; to be called every few seconds. */
  sample(): void;
}

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

function nextMidnight(now: number): number {
  return new Date(now).setHours(24, 0, 0, 0);
}

/** @see PullRecorder */
export function createPullRecorder({ clock = Date.now, wanBytes }: PullRecorderDeps): PullRecorder {
  const hour = new Ring(MINUTE, 60);
  const day = new Ring(15 * MINUTE, 96);
  const sinceStart = new Tally();
  const today = new Tally();
  let todayEndsAt = nextMidnight(clock());
  let crossed = 0;
  const last: Pull[] = [];
  let count = 0;
  const listeners = new Set<(pull: Pull) => void>();
  const lastPulls = createLru<string, string>('lastPulls', { sizeOf: (at) => at.length });

  /** A pull by tag is one of its digest as well. */
  function notePull({ kind, status, repository, reference, digest, at }: Pull): void {
    if (kind !== 'manifest' || status >= 400 || repository === null) return;
    for (const name of [reference, digest]) if (name !== null) lastPulls.set(`${repository} ${name}`, at);
  }

  function sample(): void {
    const now = clock();
    if (now >= todayEndsAt) {
      today.clear();
      todayEndsAt = nextMidnight(now);
    }
    const total = wanBytes();
    const more = total - crossed;
    if (more === 0) return;
    crossed = total;
    for (const tally of [hour.at(now), day.at(now), today, sinceStart]) tally.wanBytes += more;
  }

  return {
    record(given, isShared = false) {
      sample();
      count += 1;
      const pull: Pull = {
        id: count,
        at: given.at,
        method: given.method,
        kind: given.kind,
        repository: clipped(given.repository),
        reference: clipped(given.reference),
        digest: clipped(given.digest),
        origin: given.origin,
        status: given.status,
        bytes: given.bytes,
        ms: given.ms,
        ttfbMs: given.ttfbMs,
        user: clipped(given.user),
        client: clipped(given.client),
        address: clipped(given.address),
        cause: clipped(given.cause && pullCauseInWords(given.cause)),
      };
      last[(count - 1) % PULLS_KEPT] = pull;
      notePull(pull);
      const saved = pull.origin === 'primary' && !isShared ? 0 : pull.bytes;
      const now = clock();
      hour.at(now).add(pull, saved);
      day.at(now).add(pull, saved);
      today.add(pull, saved);
      sinceStart.add(pull, saved);
      for (const listener of listeners) listener(pull);
    },
    recent(limit, after = 0) {
      const first = Math.max(after, count - Math.min(limit, PULLS_KEPT), 0);
      return Array.from({ length: Math.max(0, count - first) }, (_, index) => last[(count - 1 - index) % PULLS_KEPT]!);
    },
    lastPulledAt: (repository, reference) => lastPulls.get(`${repository} ${reference}`) ?? null,
    totals() {
      sample();
      return { today: today.totals(), sinceStart: sinceStart.totals() };
    },
    traffic(window) {
      sample();
      const { stepMs, points } = window === 'hour' ? windowOf(hour) : windowOf(day);
      return { window, stepMs, points };
    },
    onPull(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    sample,
  };

  function windowOf(ring: Ring): Pick<Traffic, 'stepMs' | 'points'> {
    return { stepMs: ring.stepMs, points: ring.points(clock()) };
  }
}
