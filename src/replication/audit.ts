// The audit: what the rows call synced is looked up in the secondary, down to the last byte of each blob, and each blob
// is read and hashed once in a while. What is not right is marked for the worker, or listed as damaged.
import type { Log } from '../lib/log.ts';
import { createLru } from '../lib/lru.ts';
import { isDigest } from '../oci/digest.ts';
import type { Registry } from '../registry/registry.ts';
import { DAMAGED_MAX, type Damage } from './damage.ts';
import { forEach } from './for-each.ts';
import type { Inspector } from './inspect.ts';
import { PRIORITY, type Row, type RowStore } from './rows.ts';
import { createSoundness, Unknown, type Soundness } from './soundness.ts';

/** How far an audit is, for people; times in milliseconds since the epoch. */
export interface AuditProgress {
  readonly kind: 'verify';
  readonly startedAt: number;
  readonly endedAt?: number;
  /** Rows that were looked at, and of how many repositories. */
  readonly repositories: number;
  readonly rows: number;
  /** Rows all of which is right, and rows that the worker looks at again. */
  readonly verified: number;
  readonly marked: number;
  /** Rows of which the secondary did not say enough. */
  readonly unknown: number;
  /** Blobs that were looked at, and bytes of those that were read. */
  readonly blobs: number;
  readonly bytes: number;
  /** Blobs and manifests found wrong or missing, and such ones found whole again. */
  readonly damaged: number;
  readonly healed: number;
  /** Rows there are, where the run is of all. */
  readonly expected?: number;
  readonly error?: string;
}

/** What an audit needs. */
export interface AuditDeps {
  readonly primary: Pick<Registry, 'blobs'>;
  readonly secondary: Registry;
  readonly rows: RowStore;
  readonly inspector: Inspector;
  readonly damage: Damage;
  readonly isReplicated: (name: string) => boolean;
  readonly onMarked: () => void;
  /** Everything was looked at: the run's last act. */
  readonly onAllVerified: () => Promise<void>;
  readonly log: Log;
  readonly clock?: () => number;
}

/** Times in milliseconds. */
export interface AuditOptions {
  readonly timeout?: number;
  /** How old the last reading of a blob may be. */
  readonly rehashAfter?: number;
  /** Rows at once. */
  readonly parallel?: number;
}

/** What a run looks at. */
export interface AuditScope {
  /** Repositories; all when absent. */
  readonly wanted?: ((name: string) => boolean) | undefined;
  /** Every blob is read, however lately it was. */
  readonly rehash?: boolean | undefined;
  /** One tag or manifest of each of the repositories. */
  readonly reference?: string | undefined;
}

/** Verifies; one run at a time. */
export interface Audit {
  /** Looks at all synced rows of a scope; one of all joins one that is under way, any other waits for its end. */
  run(scope?: AuditScope): Promise<AuditProgress>;
  /** The run under way, or the last one. */
  readonly progress: AuditProgress | undefined;
  /** Ends the run; resolves when it has ended. */
  stop(): Promise<void>;
}

const REHASH_AFTER = 30 * 24 * 3_600_000;
const PAGE = 500;

async function isRight({ repository: name, reference, primaryDigest }: Row, soundness: Soundness): Promise<boolean> {
  if (primaryDigest === undefined) return false;
  if (!isDigest(reference) && !(await soundness.isTagOf(name, reference, primaryDigest))) return false;
  return soundness.isTreeWhole(name, primaryDigest);
}

/** @see Audit */
export function createAudit(deps: AuditDeps, options: AuditOptions = {}): Audit {
  const { rows, damage, isReplicated, onMarked, log, clock = Date.now } = deps;
  const { timeout = 30_000, rehashAfter = REHASH_AFTER, parallel = 4 } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  let current: { readonly isOfAll: boolean; readonly end: Promise<AuditProgress> } | undefined;
  let look: (() => AuditProgress) | undefined;

  /** Looks again at what is listed: somebody may have removed the file, or what pointed at it. */
  async function checkDamaged(soundness: Soundness, wanted: (name: string) => boolean): Promise<void> {
    for (const { repository, digest } of await rows.damagedBlobs(DAMAGED_MAX)) {
      signal.throwIfAborted();
      if (!wanted(repository)) continue;
      const isWorthATry = await soundness.isWorthATry(repository, digest).catch((error: unknown) => {
        if (error instanceof Unknown) return false;
        throw error;
      });
      // Rows that failed for it need not wait for their time.
      if (isWorthATry && (await rows.retry({ repository, states: ['failed'] }, clock())) > 0) onMarked();
    }
  }

  async function* synced(wanted: (name: string) => boolean, reference?: string): AsyncGenerator<Row> {
    const only = reference === undefined ? {} : { reference };
    for (let after = 0; ;) {
      const page = await rows.list({ states: ['synced'], ...only, after, limit: PAGE });
      yield* page.filter(({ repository }) => isReplicated(repository) && wanted(repository));
      if (page.length < PAGE) return;
      after = page.at(-1)!.id;
    }
  }

  async function checkRow(row: Row, soundness: Soundness): Promise<'verified' | 'marked' | 'changed'> {
    const { repository, reference } = row;
    const isGood = await isRight(row, soundness);
    // It may have been worked on meanwhile: what was found then says nothing about it.
    const now = await rows.find(repository, reference);
    if (now?.state !== 'synced' || now.generation !== row.generation) return 'changed';
    if (isGood) {
      await rows.setVerified(row, clock());
      return 'verified';
    }
    log.warn({ repository, reference }, 'not in the secondary as it should be: looked at again');
    await rows.mark([{ repository, reference, priority: PRIORITY.reconcile }], clock());
    onMarked();
    return 'marked';
  }

  async function judgeRow(row: Row, soundness: Soundness): Promise<'verified' | 'marked' | 'changed' | 'unknown'> {
    signal.throwIfAborted();
    try {
      return await checkRow(row, soundness);
    } catch (error) {
      if (!(error instanceof Unknown)) throw error;
      const { repository, reference } = row;
      log.warn({ repository, reference, reason: error.message }, 'cannot be verified now');
      return 'unknown';
    }
  }

  /** Blobs that no row led to in all the time after which they would have been read again have no rows any more. */
  async function forgetOld(before: number): Promise<void> {
    for (;;) {
      const old = (await rows.blobsVerifiedBefore(before, PAGE)).filter(({ isDamaged }) => !isDamaged);
      if (old.length === 0) return;
      for (const { repository, digest } of old) await damage.forget(repository, digest);
    }
  }

  async function start({ wanted, rehash = false, reference }: AuditScope): Promise<AuditProgress> {
    const startedAt = clock();
    const soundness = createSoundness(
      { ...deps, clock, signal },
      { timeout, rehashAfter: rehash ? -Infinity : rehashAfter },
    );
    const names = createLru<string, true>('countedRepositories');
    let repositories = 0;
    let expected: number | undefined;
    const results = { verified: 0, marked: 0, changed: 0, unknown: 0 };
    let end: Pick<AuditProgress, 'endedAt' | 'error'> = {};
    const progress = (): AuditProgress => {
      const { verified, marked, changed, unknown } = results;
      const all = verified + marked + changed + unknown;
      const part = { repositories, rows: all, verified, marked, unknown };
      const told = expected === undefined ? {} : { expected };
      return { kind: 'verify', startedAt, ...part, ...told, ...soundness.counts, ...end };
    };
    look = progress;
    try {
      const isWanted = wanted ?? (() => true);
      if (!wanted) expected = (await rows.counts(clock())).states.synced;
      await checkDamaged(soundness, isWanted);
      await forEach(synced(isWanted, reference), parallel, async (row) => {
        if (!names.has(row.repository)) repositories += 1;
        names.set(row.repository, true);
        results[await judgeRow(row, soundness)] += 1;
      });
      if (!wanted) {
        await forgetOld(startedAt - rehashAfter);
        await deps.onAllVerified();
      }
      end = { endedAt: clock() };
      log.info({ ...progress() }, 'verified');
    } catch (error) {
      const reason = signal.aborted ? 'stopped' : (error as Error).message;
      end = { endedAt: clock(), error: reason };
      log.warn({ reason }, 'verification ended early');
    }
    return progress();
  }

  return {
    run(scope = {}) {
      // One of some repositories may ask for what a run of all has passed already.
      if (current?.isOfAll && !scope.wanted && !scope.rehash) return current.end;
      const end = Promise.resolve(current?.end).then(() => start(scope));
      const mine = { isOfAll: !scope.wanted, end };
      current = mine;
      void end.then(() => {
        if (current === mine) current = undefined;
      });
      return end;
    },
    get progress() {
      return look?.();
    },
    async stop() {
      stopping.abort(new Error('stopped'));
      await current?.end;
    },
  };
}
