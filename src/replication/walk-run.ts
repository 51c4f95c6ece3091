// One run over repositories: what it visits, and how far it is.
import { forEach, inParts } from './for-each.ts';
import type { Outages } from './outage.ts';
import type { Queue } from './queue.ts';
import type { Count } from './repository-walk.ts';
import { PRIORITY, WHOLE_REPOSITORY } from './row.ts';
import type { Site } from './site.ts';

/** How far a run is, for people; times in milliseconds since the epoch. */
export interface Progress {
  readonly kind: 'backfill' | 'reconcile';
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly repositories: number;
  readonly repositoriesDone: number;
  /** Those whose lists could not be read; a worker tries them again. */
  readonly repositoriesFailed: number;
  readonly tags: number;
  readonly marked: number;
  /**
   * References that were looked at, and how many are expected from the rows; undefined where these are not complete
   * yet.
   */
  readonly looked: number;
  readonly expected?: number;
  /** Why it ended early. */
  readonly error?: string;
}

/** What all runs share. */
export interface RunContext {
  readonly site: Site;
  readonly queue: Queue;
  readonly outages: Outages;
  /** Ends the run. */
  readonly signal: AbortSignal;
}

/** Works on one repository. */
export type Visit = (name: string, count: Count) => Promise<void>;

// Repositories at once; names that are filtered in one turn of the event loop.
const PARALLEL = 4;
const PART = 500;

/** A run, from its start. */
export class WalkRun {
  readonly #context: RunContext;
  readonly #visit: Visit;
  readonly #seen = new Set<string>();
  #progress: Progress;

  constructor(context: RunContext, kind: Progress['kind'], visit: Visit) {
    this.#context = context;
    this.#visit = visit;
    const none = { repositories: 0, repositoriesDone: 0, repositoriesFailed: 0, tags: 0, marked: 0, looked: 0 };
    this.#progress = { kind, startedAt: context.site.clock(), ...none };
  }

  get progress(): Progress {
    return this.#progress;
  }

  /** Sets how many references are expected. */
  expect(expected: number | undefined): void {
    if (expected !== undefined) this.#progress = { ...this.#progress, expected };
  }

  /** Visits those of the repositories that are replicated and were not visited before. @throws in an outage */
  async visitAll(names: readonly string[]): Promise<void> {
    const { site, signal } = this.#context;
    signal.throwIfAborted();
    for await (const part of inParts(names, PART)) {
      signal.throwIfAborted();
      const fresh = part.filter((name) => !this.#seen.has(name) && this.#seen.add(name) && site.isReplicated(name));
      await forEach(fresh, PARALLEL, (name) => this.#visitOne(name));
    }
  }

  /** Ends the run; `error` says why it ended early. */
  end(error?: string): void {
    const endedAt = this.#context.site.clock();
    this.#progress = { ...this.#progress, endedAt, ...(error === undefined ? {} : { error }) };
  }

  async #visitOne(name: string): Promise<void> {
    this.#add('repositories');
    try {
      await this.#visit(name, (found) => this.#count(found));
    } catch (error) {
      await this.#setAside(name, error);
      this.#add('repositoriesFailed');
    }
    this.#add('repositoriesDone');
  }

  #add(what: 'repositories' | 'repositoriesDone' | 'repositoriesFailed'): void {
    this.#progress = { ...this.#progress, [what]: this.#progress[what] + 1 };
  }

  #count({ tags, marked, looked }: Parameters<Count>[0]): void {
    this.#context.signal.throwIfAborted();
    const progress = this.#progress;
    this.#progress = {
      ...progress,
      tags: progress.tags + tags,
      marked: progress.marked + marked,
      looked: progress.looked + looked,
    };
  }

  /**
   * Marks a repository whose lists cannot be read, for a worker to try again. @throws in an outage, which ends the run
   */
  async #setAside(name: string, error: unknown): Promise<void> {
    const { site, queue, outages, signal } = this.#context;
    signal.throwIfAborted();
    if (await outages.find(error)) throw error;
    const { message: reason } = error as Error;
    site.log.warn({ repository: name, reason }, 'repository not compared: it is tried again');
    const priority = PRIORITY[this.#progress.kind];
    await queue.mark([{ repository: name, reference: WHOLE_REPOSITORY, priority }]);
  }
}
