// One verification run: every synced row is looked up in the secondary, down to the last byte of each blob, and each blob
// is read and hashed once in a while. What is not right is marked for the worker, or listed as damaged.
import { createLru } from '../lib/lru.ts';
import { isDigest } from '../oci/digest.ts';
import { DAMAGED_MAX, type Damage } from './damage.ts';
import { forEach } from './for-each.ts';
import type { Inspector } from './inspect.ts';
import { IntegrityCheck, Unknown } from './integrity-check.ts';
import type { Queue } from './queue.ts';
import { PRIORITY, type Row } from './row.ts';
import type { Site } from './site.ts';

/** How far a run is, for people; times in milliseconds since the epoch. */
export interface VerificationProgress {
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

/** What a run looks at. */
export interface VerificationScope {
  /** Repositories; all when absent. */
  readonly wanted?: ((name: string) => boolean) | undefined;
  /** Every blob is read, however lately it was. */
  readonly rehash?: boolean | undefined;
  /** One tag or manifest of each of the repositories. */
  readonly reference?: string | undefined;
}

/** What runs are made of. */
export interface VerificationParts {
  readonly inspector: Inspector;
  readonly damage: Damage;
  readonly queue: Queue;
}

type RowResult = 'verified' | 'marked' | 'changed' | 'unknown';

// How old (ms) the last reading of a blob may be.
const REHASH_AFTER = 30 * 24 * 3_600_000;
// Rows at once, and rows read from the database at once.
const PARALLEL = 4;
const PAGE = 500;

/** A run, from its start. */
export class VerificationRun {
  readonly #site: Site;
  readonly #parts: VerificationParts;
  readonly #scope: VerificationScope;
  readonly #signal: AbortSignal;
  readonly #check: IntegrityCheck;
  readonly #startedAt: number;
  readonly #names = createLru<string, true>('countedRepositories');
  readonly #results: Record<RowResult, number> = { verified: 0, marked: 0, changed: 0, unknown: 0 };
  #repositories = 0;
  #expected: { readonly expected?: number } = {};
  #end: Pick<VerificationProgress, 'endedAt' | 'error'> = {};

  constructor(site: Site, parts: VerificationParts, scope: VerificationScope, signal: AbortSignal) {
    this.#site = site;
    this.#parts = parts;
    this.#scope = scope;
    this.#signal = signal;
    this.#startedAt = site.clock();
    const rehashAfter = scope.rehash ? -Infinity : REHASH_AFTER;
    this.#check = new IntegrityCheck(site, { ...parts, rehashAfter, signal });
  }

  get progress(): VerificationProgress {
    const { changed, ...results } = this.#results;
    const rows = results.verified + results.marked + changed + results.unknown;
    const counts = { repositories: this.#repositories, rows, ...results, ...this.#expected, ...this.#check.counts };
    return { kind: 'verify', startedAt: this.#startedAt, ...counts, ...this.#end };
  }

  /** Runs to the end; a failure is in the progress. `onAll` is called when everything was looked at. */
  async run(onAll: () => Promise<void>): Promise<VerificationProgress> {
    const { log, clock } = this.#site;
    try {
      await this.#verify();
      if (!this.#scope.wanted) await onAll();
      this.#end = { endedAt: clock() };
      log.info({ ...this.progress }, 'verified');
    } catch (error) {
      const reason = this.#signal.aborted ? 'stopped' : (error as Error).message;
      this.#end = { endedAt: clock(), error: reason };
      log.warn({ reason }, 'verification ended early');
    }
    return this.progress;
  }

  async #verify(): Promise<void> {
    const { rows, clock } = this.#site;
    const isOfAll = !this.#scope.wanted;
    if (isOfAll) this.#expected = { expected: (await rows.counts(clock())).states.synced };
    await this.#checkDamaged();
    await forEach(this.#syncedRows(), PARALLEL, async (row) => {
      if (!this.#names.has(row.repository)) this.#repositories += 1;
      this.#names.set(row.repository, true);
      this.#results[await this.#verifyRow(row)] += 1;
    });
    if (isOfAll) await this.#forgetOld(this.#startedAt - REHASH_AFTER);
  }

  #isWanted(repository: string): boolean {
    return this.#scope.wanted?.(repository) ?? true;
  }

  /** Looks again at listed damage: somebody may have removed the file, or what pointed at it. */
  async #checkDamaged(): Promise<void> {
    for (const { repository, digest } of await this.#site.rows.damagedBlobs(DAMAGED_MAX)) {
      this.#signal.throwIfAborted();
      if (!this.#isWanted(repository)) continue;
      const isWorthATry = await this.#check.isWorthATry(repository, digest).catch((error: unknown) => {
        if (error instanceof Unknown) return false;
        throw error;
      });
      if (isWorthATry) await this.#parts.damage.retryFailed(repository);
    }
  }

  async *#syncedRows(): AsyncGenerator<Row> {
    const { reference } = this.#scope;
    const filter = { states: ['synced'], ...(reference === undefined ? {} : { reference }), limit: PAGE } as const;
    for (let after = 0; ;) {
      const page = await this.#site.rows.list({ ...filter, after });
      yield* page.filter(({ repository }) => this.#site.isReplicated(repository) && this.#isWanted(repository));
      if (page.length < PAGE) return;
      after = page.at(-1)!.id;
    }
  }

  async #verifyRow(row: Row): Promise<RowResult> {
    this.#signal.throwIfAborted();
    try {
      return await this.#checkRow(row);
    } catch (error) {
      if (!(error instanceof Unknown)) throw error;
      const { repository, reference } = row;
      this.#site.log.warn({ repository, reference, reason: error.message }, 'cannot be verified now');
      return 'unknown';
    }
  }

  async #checkRow(row: Row): Promise<RowResult> {
    const { rows, log, clock } = this.#site;
    const { repository, reference } = row;
    const isRight = await this.#isRight(row);
    // It may have been worked on meanwhile: then the finding is not about its present state.
    const now = await rows.find(repository, reference);
    if (now?.state !== 'synced' || now.generation !== row.generation) return 'changed';
    if (isRight) {
      await rows.setVerified(row, clock());
      return 'verified';
    }
    log.warn({ repository, reference }, 'not in the secondary as it should be: looked at again');
    await this.#parts.queue.mark([{ repository, reference, priority: PRIORITY.reconcile }]);
    return 'marked';
  }

  async #isRight({ repository, reference, primaryDigest }: Row): Promise<boolean> {
    if (primaryDigest === undefined) return false;
    if (!isDigest(reference) && !(await this.#check.isTagOf(repository, reference, primaryDigest))) return false;
    return this.#check.isTreeWhole(repository, primaryDigest);
  }

  /** A blob that no row led to in all the time after which it would have been read again belongs to no row. */
  async #forgetOld(before: number): Promise<void> {
    for (;;) {
      const page = await this.#site.rows.blobsVerifiedBefore(before, PAGE);
      const old = page.filter(({ isDamaged }) => !isDamaged);
      if (old.length === 0) return;
      for (const { repository, digest } of old) await this.#parts.damage.forget(repository, digest);
    }
  }
}
