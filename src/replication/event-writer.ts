// The event writer: stores what notifications say as marks, and keeps those that could not be understood.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../lib/log.ts';
import { marksBelow, type EventMark, type ParsedEvents } from './events.ts';
import { PRIORITY } from './row.ts';
import { StoreUnavailable, type RowStore } from './rows.ts';

/** The part of the rows that events are written to. */
export type EventRows = Pick<RowStore, 'mark' | 'keepMalformed' | 'repositories'>;

/** What writing needs; `clock` in milliseconds since the epoch. */
export interface EventWriterParts {
  readonly rows: EventRows;
  readonly isReplicated: (repository: string) => boolean;
  /** Called first, with all that events name, replicated or not: what is remembered of it may be wrong by now. */
  readonly onNamed?: (events: Pick<ParsedEvents, 'named' | 'renames'>) => void;
  /** Wakes the workers. */
  readonly onMarked: () => void;
  readonly clock?: () => number;
}

// Other calls may come between two pages.
const PAGE = 500;

/** Writes events. */
export class EventWriter {
  readonly #parts: EventWriterParts;

  constructor(parts: EventWriterParts) {
    this.#parts = parts;
  }

  /** Resolves when all of it is on disk. @throws StoreUnavailable */
  async write(events: ParsedEvents, log: Log): Promise<void> {
    const { onNamed, onMarked, clock = Date.now } = this.#parts;
    const at = clock();
    onNamed?.(events);
    const { marks } = events;
    await this.#mark(marks, at);
    await this.#markBelow(events, at);
    if (marks.length > 0) onMarked();
    await this.#keep(events, at, log);
  }

  async #mark(marks: readonly EventMark[], at: number): Promise<void> {
    for (let start = 0; start < marks.length; start += PAGE) {
      const page = marks.slice(start, start + PAGE);
      await this.#parts.rows.mark(
        page.map((one) => ({ ...one, priority: PRIORITY.event, eventAt: at })),
        at,
      );
    }
  }

  /** One rename after the other: their marks together may be very many. */
  async #markBelow({ renames }: ParsedEvents, at: number): Promise<void> {
    if (renames.length === 0) return;
    const { rows, isReplicated } = this.#parts;
    const known = await rows.repositories();
    for (const rename of renames) {
      const since = performance.now();
      const marks = marksBelow(rename, known).filter(({ repository }) => isReplicated(repository));
      await this.#mark(marks, at);
      // As long again: pulls have at least half of the time.
      await sleep(performance.now() - since);
    }
  }

  async #keep({ malformed }: ParsedEvents, at: number, log: Log): Promise<void> {
    const { rows } = this.#parts;
    const kept = await Promise.allSettled(malformed.map((event) => rows.keepMalformed({ ...event, at })));
    for (const result of kept) {
      if (result.status === 'fulfilled') continue;
      if (result.reason instanceof StoreUnavailable) throw result.reason;
      // Another attempt would fail as well.
      log.error({ err: result.reason as unknown }, 'cannot keep a malformed event');
    }
  }
}
