// The queue: makes rows due, and wakes the worker for them.
import type { Bell } from './bell.ts';
import type { Mark } from './row-queue.ts';
import type { RowFilter } from './row-views.ts';
import type { Site } from './site.ts';

/** Every change resolves after it is on disk. */
export class Queue {
  readonly #site: Pick<Site, 'rows' | 'clock'>;
  readonly #bell: Bell;

  constructor(site: Pick<Site, 'rows' | 'clock'>, bell: Bell) {
    this.#site = site;
    this.#bell = bell;
  }

  async mark(marks: readonly Mark[]): Promise<void> {
    if (marks.length === 0) return;
    await this.#site.rows.mark(marks, this.#site.clock());
    this.wake();
  }

  /** As `RowStore.retry`; answers how many rows are due now. */
  async retry(filter: RowFilter): Promise<number> {
    const count = await this.#site.rows.retry(filter, this.#site.clock());
    if (count > 0) this.wake();
    return count;
  }

  /** Rows are due that were marked in another way. */
  wake(): void {
    this.#bell.ring();
  }
}
