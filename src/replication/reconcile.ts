// Walks over everything: backfill marks what the primary has, reconcile compares both sides and marks what differs.
import type { Log } from '../lib/log.ts';
import type { Registry } from '../registry/registry.ts';
import { isDigest } from '../oci/digest.ts';
import { PRIORITY, WHOLE_REPOSITORY, type Mark, type Row, type RowPriority, type RowStore } from './rows.ts';
import { walkRepositories, walkTags } from './walk.ts';

/** What a walk needs. */
export interface WalkDeps {
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly rows: RowStore;
  /** Names instead of a catalog, where the primary has none. */
  readonly listedRepositories: () => Promise<readonly string[] | undefined>;
  readonly isReplicated: (name: string) => boolean;
  readonly onMarked: () => void;
  readonly log: Log;
  readonly clock?: () => number;
}

/** How far a walk is, for people. */
export interface Progress {
  readonly kind: 'backfill' | 'reconcile';
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly repositories: number;
  readonly repositoriesDone: number;
  readonly tags: number;
  readonly marked: number;
  readonly error?: string;
}

/** The walks; one at a time. */
export interface Walks {
  /** Marks all that the primary has, of repositories that `wanted` lets through. */
  backfill(wanted?: (name: string) => boolean): Promise<Progress>;
  /** Compares tags on both sides and marks those that differ. */
  reconcile(): Promise<Progress>;
  /** Marks everything that one repository has, at the primary or here. */
  markRepository(name: string, row: Row): Promise<void>;
  /** The walk that runs, and the last of each kind. */
  readonly progress: readonly Progress[];
  stop(): void;
}

const BACKFILL_CURSOR = 'backfill.cursor';
const BATCH = 500;

/** Works on `width` items at once. */
async function forEach<T>(items: AsyncIterable<T>, width: number, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  const worker = async (): Promise<void> => {
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/** @see Walks */
export function createWalks(
  deps: WalkDeps,
  { parallel = 4, tagsAtOnce = 8, timeout = 30_000 }: { parallel?: number; tagsAtOnce?: number; timeout?: number } = {},
): Walks {
  const { primary, secondary, rows, isReplicated, onMarked, log, clock = Date.now } = deps;
  const latest = new Map<Progress['kind'], Progress>();
  let stopped = false;

  async function mark(marks: readonly Mark[]): Promise<void> {
    for (let start = 0; start < marks.length; start += BATCH)
      await rows.mark(marks.slice(start, start + BATCH), clock());
    if (marks.length > 0) onMarked();
  }

  /** All names: of the file, of the primary's catalog, and of what is known here. */
  async function* repositories(kind: Progress['kind']): AsyncGenerator<string> {
    const seen = new Set<string>();
    const fresh = (name: string): boolean => !seen.has(name) && isReplicated(name) && !!seen.add(name);
    const listed = await deps.listedRepositories();
    if (listed) yield* listed.filter(fresh);
    else {
      const cursor = kind === 'backfill' ? ((await rows.getFact(BACKFILL_CURSOR)) as string | undefined) : undefined;
      for await (const page of walkRepositories(primary, { cursor, timeout })) {
        yield* page.names.filter(fresh);
        if (kind === 'backfill') await rows.setFact(BACKFILL_CURSOR, page.cursor ?? null);
      }
    }
    if (kind === 'reconcile') yield* (await rows.repositories()).filter(fresh);
  }

  async function run(
    kind: Progress['kind'],
    visit: (name: string, note: (tags: number, marked: number) => void) => Promise<void>,
  ): Promise<Progress> {
    let progress: Progress = { kind, startedAt: clock(), repositories: 0, repositoriesDone: 0, tags: 0, marked: 0 };
    const update = (change: Partial<Progress>): void => {
      progress = { ...progress, ...change };
      latest.set(kind, progress);
    };
    update({});
    try {
      await forEach(repositories(kind), parallel, async (name) => {
        if (stopped) return;
        update({ repositories: progress.repositories + 1 });
        await visit(name, (tags, marked) => update({ tags: progress.tags + tags, marked: progress.marked + marked }));
        update({ repositoriesDone: progress.repositoriesDone + 1 });
      });
      update({ endedAt: clock() });
    } catch (error) {
      update({ endedAt: clock(), error: (error as Error).message });
      log.warn({ kind, reason: (error as Error).message }, 'walk ended early');
    }
    return progress;
  }

  /** Tags of both sides and of the rows: what a list lacks is asked for all the same. */
  async function* tagsOf(name: string): AsyncGenerator<string> {
    const seen = new Set<string>();
    for await (const page of walkTags(primary, name, timeout))
      yield* page.filter((tag) => !seen.has(tag) && seen.add(tag));
    for await (const page of walkTags(secondary, name, timeout))
      yield* page.filter((tag) => !seen.has(tag) && seen.add(tag));
    for (const { reference } of await rows.list({ repository: name })) {
      if (!isDigest(reference) && reference !== WHOLE_REPOSITORY && !seen.has(reference)) yield reference;
    }
  }

  /** Whether a tag means the same on both sides; where the primary cannot be asked nothing is said. */
  async function differs(name: string, tag: string): Promise<boolean> {
    const [there, here] = await Promise.all([
      primary.manifests.head(name, { tag }, timeout),
      secondary.manifests.head(name, { tag }, timeout),
    ]);
    if (there.kind === 'missing' && here.kind === 'missing') return (await rows.find(name, tag)) !== undefined;
    if (there.kind === 'found' && here.kind === 'found' && there.value.digest === here.value.digest) {
      const row = await rows.find(name, tag);
      return row?.state !== 'synced' || row.primaryDigest !== there.value.digest;
    }
    return there.kind === 'found' || there.kind === 'missing';
  }

  async function reconcileOne(name: string, note: (tags: number, marked: number) => void): Promise<void> {
    const marks: Mark[] = [];
    await forEach(tagsOf(name), tagsAtOnce, async (tag) => {
      const isDifferent = await differs(name, tag);
      if (isDifferent) marks.push({ repository: name, reference: tag, priority: PRIORITY.reconcile });
      note(1, isDifferent ? 1 : 0);
    });
    await mark(marks);
  }

  async function markAll(name: string, priority: RowPriority): Promise<number> {
    const marks: Mark[] = [];
    for await (const tag of tagsOf(name)) marks.push({ repository: name, reference: tag, priority });
    for (const { reference } of await rows.list({ repository: name })) {
      if (isDigest(reference)) marks.push({ repository: name, reference, priority });
    }
    await mark(marks);
    return marks.length;
  }

  return {
    backfill: (wanted = () => true) =>
      run('backfill', async (name, note) => {
        if (!wanted(name)) return;
        const count = await markAll(name, PRIORITY.backfill);
        note(count, count);
      }),
    reconcile: () => run('reconcile', reconcileOne),
    async markRepository(name, row) {
      await markAll(name, row.priority);
    },
    get progress() {
      return [...latest.values()];
    },
    stop() {
      stopped = true;
    },
  };
}
