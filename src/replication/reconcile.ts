// Walks over everything: backfill marks what the primary has, reconcile compares both sides and marks what differs.
import type { Log } from '../lib/log.ts';
import { createSingleFlight } from '../lib/single-flight.ts';
import { isDigest, type Digest } from '../oci/digest.ts';
import type { Registry } from '../registry/registry.ts';
import { createCompare, isWork } from './compare.ts';
import { forEach, inParts } from './for-each.ts';
import type { MarkReferrers } from './referrers.ts';
import { PRIORITY, WHOLE_REPOSITORY, type Mark, type Row, type RowPriority, type RowStore } from './rows.ts';
import type { FindTrouble } from './trouble.ts';
import { walkRepositories, walkTags, WalkFailed, type Repositories } from './walk.ts';

/** What a walk needs; `clock` in milliseconds since the epoch. */
export interface WalkDeps {
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly rows: RowStore;
  /** Names instead of a catalog, where the primary has none. */
  readonly listedRepositories: () => Promise<readonly string[] | undefined>;
  readonly isReplicated: (name: string) => boolean;
  readonly markReferrers: MarkReferrers;
  readonly findTrouble: FindTrouble;
  readonly onMarked: () => void;
  /** Everything was compared. */
  readonly onCompared: () => Promise<void>;
  readonly log: Log;
  readonly clock?: () => number;
}

/** Knobs: `parallel` repositories and `tagsAtOnce` tags at once, `timeout` in milliseconds. */
export interface WalkOptions {
  readonly parallel?: number;
  readonly tagsAtOnce?: number;
  readonly timeout?: number;
}

/** How far a walk is, for people. */
export interface Progress {
  readonly kind: 'backfill' | 'reconcile';
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly repositories: number;
  readonly repositoriesDone: number;
  /** Those that could not be walked; workers come back to them. */
  readonly repositoriesFailed: number;
  readonly tags: number;
  readonly marked: number;
  /** Tags and manifests that were looked at, and how many there are as far as the rows tell; undefined where they do not. */
  readonly looked: number;
  readonly expected?: number;
  /** Why it ended early. */
  readonly error?: string;
}

/** The walks; one at a time. */
export interface Walks {
  /** Marks all that the primary has, of repositories that `wanted` lets through. */
  backfill(wanted?: (name: string) => boolean): Promise<Progress>;
  /** Compares both sides and marks what differs. */
  reconcile(): Promise<Progress>;
  /** Marks everything that one repository has, at the primary or here. @throws WalkFailed */
  markRepository(name: string, row: Row): Promise<void>;
  /** The walk of each kind that runs, or ran last. */
  readonly progress: readonly Progress[];
  /** Ends the walk that runs; resolves when it has ended. */
  stop(): Promise<void>;
}

type Note = (tags: number, marked: number, looked?: number) => void;

/** Works on one repository. */
type Visit = (name: string, note: Note) => Promise<void>;

/** A fact: everything of the primary was marked once. */
export const BACKFILLED = 'backfill.done';
/** A fact: where the backfill that did not end is to go on, as a query of the catalog. */
const BACKFILL_CURSOR = 'backfill.cursor';
const BATCH = 500;

// As the log names them.
const RUN_NAMES = { backfill: 'backfill', reconcile: 'compare run' } as const;

/** Forgets where a backfill was: its catalog is another's. */
export async function forgetBackfill(rows: Pick<RowStore, 'setFact'>): Promise<void> {
  await rows.setFact(BACKFILL_CURSOR, null);
}

/** @see Walks */
export function createWalks(deps: WalkDeps, options: WalkOptions = {}): Walks {
  const { primary, secondary, rows, isReplicated, findTrouble, onMarked, log, clock = Date.now } = deps;
  const { parallel = 4, tagsAtOnce = 8, timeout = 30_000 } = options;
  const compare = createCompare({ primary, secondary, findTrouble }, { atOnce: tagsAtOnce, timeout });
  const latest = new Map<Progress['kind'], Progress>();
  const stopping = new AbortController();
  const { signal } = stopping;
  const under = createSingleFlight<Progress>();
  let last: Promise<unknown> = Promise.resolve();
  let walks = 0;

  /** Collects marks and writes them by the page. */
  function createMarker(priority: RowPriority, eventAt?: number) {
    let waiting: Mark[] = [];
    const flush = async (): Promise<void> => {
      const marks = waiting;
      waiting = [];
      if (marks.length === 0) return;
      await rows.mark(marks, clock());
      onMarked();
    };
    const add = async (repository: string, reference: string, urgency = priority): Promise<void> => {
      waiting.push({ repository, reference, priority: urgency, ...(eventAt === undefined ? {} : { eventAt }) });
      if (waiting.length >= BATCH) await flush();
    };
    return { add, flush };
  }

  async function rowsOf(name: string): Promise<ReadonlyMap<string, Row>> {
    const known = new Map<string, Row>();
    for (let after = 0; ;) {
      const page = await rows.list({ repository: name, after, limit: BATCH });
      for (const row of page) if (row.reference !== WHOLE_REPOSITORY) known.set(row.reference, row);
      if (page.length < BATCH) return known;
      after = page.at(-1)!.id;
    }
  }

  /** Tags of both sides, and what has a row: what a list lacks is asked for all the same. */
  async function* referencesOf(name: string, known: ReadonlyMap<string, Row>): AsyncGenerator<string> {
    const seen = new Set<string>();
    for (const registry of [primary, secondary]) {
      for await (const page of walkTags(registry, name, timeout)) {
        yield* page.filter((tag) => !seen.has(tag) && seen.add(tag));
      }
    }
    for (const reference of known.keys()) if (!seen.has(reference)) yield reference;
  }

  async function markAll(name: string, priority: RowPriority, note: Note, eventAt?: number): Promise<void> {
    const marker = createMarker(priority, eventAt);
    for await (const reference of referencesOf(name, await rowsOf(name))) {
      await marker.add(name, reference);
      note(1, 1, 1);
    }
    await marker.flush();
  }

  const backfillOne: Visit = (name, note) => markAll(name, PRIORITY.backfill, note);

  async function reconcileOne(name: string, note: Note): Promise<void> {
    const marker = createMarker(PRIORITY.reconcile);
    const known = await rowsOf(name);
    const same = new Set<Digest>();
    await forEach(referencesOf(name, known), tagsAtOnce, async (reference) => {
      const [verdict, row] = [await compare(name, reference), known.get(reference)];
      const isDue = isWork(verdict, row);
      // Only a strong mark wakes what is not supported: it is another manifest, or not even there any more.
      if (isDue) await marker.add(name, reference, row?.state === 'unsupported' ? PRIORITY.event : undefined);
      else if (verdict.kind === 'same') same.add(verdict.digest);
      note(isDigest(reference) ? 0 : 1, isDue ? 1 : 0, 1);
    });
    await marker.flush();
    const referrers = await deps.markReferrers(name, [...same], PRIORITY.reconcile);
    if (referrers > 0) onMarked();
    note(0, referrers);
  }

  /** A catalog, or nothing where a registry gives none: what is known otherwise has to do. */
  async function* catalogOf(registry: Registry): AsyncGenerator<readonly string[]> {
    try {
      for await (const { names } of walkRepositories(registry, { timeout })) yield names;
    } catch (error) {
      const kind = error instanceof WalkFailed ? error.failure.kind : 'unavailable';
      if (kind === 'unavailable' || kind === 'busy') throw error;
      const hint = registry === primary ? ': name its repositories in GEO_REPOSITORIES_FILE' : '';
      log.warn({ registry: registry.client.registry, reason: kind }, `no catalog${hint}`);
    }
  }

  async function* allRepositories(): AsyncGenerator<readonly string[]> {
    const listed = await deps.listedRepositories();
    if (listed) yield listed;
    else yield* catalogOf(primary);
    yield await rows.repositories();
    yield* catalogOf(secondary);
  }

  async function* primaryRepositories(cursor: string | undefined): AsyncGenerator<Repositories> {
    const listed = await deps.listedRepositories();
    if (listed) yield { names: listed, cursor: undefined };
    else yield* walkRepositories(primary, { cursor, timeout });
  }

  /** Runs one walk after the other; `walk` gets a function that visits a page of repositories. */
  function start(
    kind: Progress['kind'],
    visit: Visit,
    walk: (visitAll: (names: readonly string[]) => Promise<void>) => Promise<void>,
    isOfAll = true,
  ): Promise<Progress> {
    const started = last.then(() => run(kind, visit, walk, isOfAll));
    last = started;
    return started;
  }

  /** How many rows there are, which is how many there will be once everything of the primary was marked before. */
  async function expectedOf(kind: Progress['kind']): Promise<number | undefined> {
    if (kind === 'backfill' && (await rows.getFact(BACKFILLED)) !== true) return undefined;
    return Object.values((await rows.counts(clock())).states).reduce((sum, count) => sum + count, 0);
  }

  async function run(...[kind, visit, walk, isOfAll]: Required<Parameters<typeof start>>): Promise<Progress> {
    const none = { repositories: 0, repositoriesDone: 0, repositoriesFailed: 0, tags: 0, marked: 0, looked: 0 };
    let progress: Progress = { kind, startedAt: clock(), ...none };
    const update = (change: Partial<Progress>): void => {
      progress = { ...progress, ...change };
      latest.set(kind, progress);
    };
    const note: Note = (tags, marked, looked = 0) => {
      signal.throwIfAborted();
      update({
        tags: progress.tags + tags,
        marked: progress.marked + marked,
        looked: progress.looked + looked,
      });
    };
    const seen = new Set<string>();
    const visitOne = async (name: string): Promise<void> => {
      update({ repositories: progress.repositories + 1 });
      await visit(name, note).catch(async (error: unknown) => {
        await setAside(kind, name, error);
        update({ repositoriesFailed: progress.repositoriesFailed + 1 });
      });
      update({ repositoriesDone: progress.repositoriesDone + 1 });
    };
    update({});
    try {
      const expected = isOfAll ? await expectedOf(kind) : undefined;
      if (expected !== undefined) update({ expected });
      await walk(async (names) => {
        signal.throwIfAborted();
        for await (const part of inParts(names, BATCH)) {
          signal.throwIfAborted();
          const fresh = part.filter((name) => !seen.has(name) && seen.add(name) && isReplicated(name));
          await forEach(fresh, parallel, visitOne);
        }
      });
      if (kind === 'reconcile' && progress.repositoriesFailed === 0) await deps.onCompared();
      update({ endedAt: clock() });
      log.info({ ...progress }, `${RUN_NAMES[kind]} ended`);
    } catch (error) {
      update({ endedAt: clock(), error: signal.aborted ? 'stopped' : (error as Error).message });
      if (!signal.aborted) log.warn({ ...progress }, `${RUN_NAMES[kind]} ended early`);
    }
    return progress;
  }

  /** One repository that cannot be walked does not end the walk: a worker comes back to it. @throws for everybody's */
  async function setAside(kind: Progress['kind'], name: string, error: unknown): Promise<void> {
    signal.throwIfAborted();
    if (await findTrouble(error)) throw error;
    log.warn({ repository: name, reason: (error as Error).message }, 'repository not compared: it is tried again');
    await rows.mark([{ repository: name, reference: WHOLE_REPOSITORY, priority: PRIORITY[kind] }], clock());
    onMarked();
  }

  function backfill(wanted?: (name: string) => boolean): Promise<Progress> {
    const walk = (): Promise<Progress> =>
      start(
        'backfill',
        backfillOne,
        async (visitAll) => {
          // One of some repositories only says nothing about how far the one of all is.
          const cursor = wanted ? undefined : ((await rows.getFact(BACKFILL_CURSOR)) as string | null);
          for await (const page of primaryRepositories(cursor ?? undefined)) {
            await visitAll(wanted ? page.names.filter(wanted) : page.names);
            if (!wanted) await rows.setFact(BACKFILL_CURSOR, page.cursor ?? null);
          }
        },
        wanted === undefined,
      );
    return under(wanted ? `backfill ${(walks += 1)}` : 'backfill', walk);
  }

  return {
    backfill,
    reconcile: () =>
      under('reconcile', () =>
        start('reconcile', reconcileOne, async (visitAll) => {
          for await (const names of allRepositories()) await visitAll(names);
        }),
      ),
    markRepository: (name, row) => markAll(name, row.priority, () => undefined, row.eventAt),
    get progress() {
      return [...latest.values()];
    },
    async stop() {
      stopping.abort();
      await last;
    },
  };
}
