// The walk over one repository: all that it has at the primary or in the secondary is marked, or compared.
import { isDigest, type Digest } from '../oci/digest.ts';
import { Comparer, isWork } from './compare.ts';
import { forEach } from './for-each.ts';
import type { Outages } from './outage.ts';
import type { Queue } from './queue.ts';
import type { Referrers } from './referrers.ts';
import type { Mark } from './row-queue.ts';
import { PRIORITY, WHOLE_REPOSITORY, type Row } from './row.ts';
import { ANSWER_TIMEOUT, type Site } from './site.ts';
import { walkTags } from './walk.ts';

/** What was looked at: tags, how many references were marked, and how many were looked at. @throws to end the walk */
export type Count = (found: { readonly tags: number; readonly marked: number; readonly looked: number }) => void;

// References compared at once, and rows read or marked at once.
const COMPARED_AT_ONCE = 8;
const BATCH = 500;

/** Collects marks, and writes them by the page. */
class Marker {
  readonly #queue: Queue;
  #waiting: Mark[] = [];

  constructor(queue: Queue) {
    this.#queue = queue;
  }

  async add(mark: Mark): Promise<void> {
    this.#waiting.push(mark);
    if (this.#waiting.length >= BATCH) await this.flush();
  }

  async flush(): Promise<void> {
    const marks = this.#waiting;
    this.#waiting = [];
    await this.#queue.mark(marks);
  }
}

/** Walks over repositories. */
export class RepositoryWalk {
  readonly #site: Site;
  readonly #queue: Queue;
  readonly #referrers: Referrers;
  readonly #comparer: Comparer;

  constructor(site: Site, queue: Queue, referrers: Referrers, outages: Outages) {
    this.#site = site;
    this.#queue = queue;
    this.#referrers = referrers;
    this.#comparer = new Comparer(site, outages, COMPARED_AT_ONCE);
  }

  /** Marks every reference of a repository with the priority, and the event, that are given. @throws WalkFailed */
  async markAll(
    repository: string,
    { priority, eventAt }: Pick<Mark, 'priority' | 'eventAt'>,
    count: Count = () => undefined,
  ): Promise<void> {
    const marker = new Marker(this.#queue);
    for await (const reference of this.#references(repository, await this.#rowsOf(repository))) {
      await marker.add({ repository, reference, priority, ...(eventAt === undefined ? {} : { eventAt }) });
      count({ tags: 1, marked: 1, looked: 1 });
    }
    await marker.flush();
  }

  /** Compares every reference of a repository, and marks those that differ. @throws WalkFailed */
  async compareAll(repository: string, count: Count): Promise<void> {
    const marker = new Marker(this.#queue);
    const known = await this.#rowsOf(repository);
    const same = new Set<Digest>();
    await forEach(this.#references(repository, known), COMPARED_AT_ONCE, async (reference) => {
      const [verdict, row] = [await this.#comparer.compare(repository, reference), known.get(reference)];
      const isDue = isWork(verdict, row);
      // Only an event's priority makes an unsupported row due: its manifest is another one, or gone.
      const priority = row?.state === 'unsupported' ? PRIORITY.event : PRIORITY.reconcile;
      if (isDue) await marker.add({ repository, reference, priority });
      else if (verdict.kind === 'same') same.add(verdict.digest);
      count({ tags: isDigest(reference) ? 0 : 1, marked: isDue ? 1 : 0, looked: 1 });
    });
    await marker.flush();
    const referrers = await this.#referrers.mark(repository, [...same], PRIORITY.reconcile);
    count({ tags: 0, marked: referrers, looked: 0 });
  }

  async #rowsOf(repository: string): Promise<ReadonlyMap<string, Row>> {
    const known = new Map<string, Row>();
    for (let after = 0; ;) {
      const page = await this.#site.rows.list({ repository, after, limit: BATCH });
      for (const row of page) if (row.reference !== WHOLE_REPOSITORY) known.set(row.reference, row);
      if (page.length < BATCH) return known;
      after = page.at(-1)!.id;
    }
  }

  /** Tags of both registries, and references of rows, since a list may lack some. */
  async *#references(repository: string, known: ReadonlyMap<string, Row>): AsyncGenerator<string> {
    const seen = new Set<string>();
    for (const registry of [this.#site.primary, this.#site.secondary]) {
      for await (const page of walkTags(registry, repository, ANSWER_TIMEOUT)) {
        yield* page.filter((tag) => !seen.has(tag) && seen.add(tag));
      }
    }
    for (const reference of known.keys()) if (!seen.has(reference)) yield reference;
  }
}
