// The repositories that have a blob, and its uploads into them: streamed while it comes in, repeated from its file.
import type { Caller } from '../lib/claim.ts';
import { createSharedWork } from '../lib/shared-work.ts';
import { BUSY_HERE, failureText, found, type Answer } from '../registry/answer.ts';
import type { BlobFill } from './blob-fill.ts';
import type { FillContext } from './context.ts';
import { FillReader } from './reader.ts';

type Stored = Answer<undefined>;

const RETRY_MAX = 600_000;
// A whole blob that is not stored within this time (ms) is marked, so that its file survives a crash.
const KEEP_AFTER = 1_000;

/** The repositories of one fill. */
export class Repositories {
  readonly #context: FillContext;
  readonly #fill: BlobFill;
  /** Those that have the blob according to the primary. */
  readonly #members: Set<string>;
  readonly #joining = createSharedWork<Answer<unknown>>();
  /** Uploads that are under way or have succeeded. */
  readonly #uploads = new Map<string, Promise<Stored>>();
  #failures = 0;
  #isSettled = false;

  constructor(context: FillContext, fill: BlobFill, names: readonly string[]) {
    this.#context = context;
    this.#fill = fill;
    this.#members = new Set(names);
  }

  get names(): readonly string[] {
    return [...this.#members];
  }

  /** Whether the blob is whole, and uploaded to every repository that is stored. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /**
   * Adds a repository once the primary has confirmed that the blob belongs to it.
   * @throws CallerLeft as soon as the caller has left.
   */
  async join(name: string, caller: Caller): Promise<Answer<unknown>> {
    if (this.#members.has(name)) return found(undefined);
    const { primary, lookups, options } = this.#context;
    const { digest } = this.#fill;
    let isOwn = false;
    const ask = (): Promise<Answer<unknown>> =>
      this.#joining(name, caller, (claim) => {
        isOwn = true;
        return lookups.run(claim, (signal) => primary.blobs.head(name, digest, options.timeout, signal), BUSY_HERE);
      });
    let answer = await ask();
    // A request that began before this caller came may be older than the push that the caller knows of.
    if (answer.kind === 'missing' && !isOwn) answer = await ask();
    if (answer.kind !== 'found' || this.#members.has(name)) return answer;
    this.#members.add(name);
    this.#isSettled = false;
    if (this.#fill.state !== 'spilled' && this.#context.isStored(name)) void this.storeIn(name);
    else void this.settle();
    return answer;
  }

  /** Stores the blob in a repository: the first upload streams it, further repositories link it from there. */
  storeIn(name: string): Promise<Stored> {
    if (!this.#context.isStored(name)) return Promise.resolve({ kind: 'unsupported' });
    const known = this.#uploads.get(name);
    if (known) return known;
    const first = this.#uploads.entries().next().value;
    const upload = this.#holdingFile(() => (first ? this.#link(name, ...first) : this.#upload(name)));
    this.#uploads.set(name, upload);
    void upload.then((answer) => this.#afterUpload(name, answer));
    return upload;
  }

  /** The blob is whole: its file stays until it is stored. */
  onWhole(): void {
    void this.settle();
    setTimeout(() => {
      if (!this.#isSettled) void this.keepFile();
    }, KEEP_AFTER).unref();
  }

  /** Marks the file as one that the next run takes up. */
  async keepFile(): Promise<void> {
    await this.#fill.spooled?.keep(this.#storedNames).catch(() => undefined);
  }

  /** Looks whether nothing is left to store, and lets the fill go after a while then. */
  async settle(): Promise<void> {
    await this.#fill.ended;
    if (this.#fill.state !== 'whole') return;
    const uploads = this.#storedNames.map((name) => this.#uploads.get(name));
    if (uploads.includes(undefined)) return;
    const answers = await Promise.all(uploads);
    const isComplete = this.#storedNames.length === uploads.length;
    if (this.#isSettled || !isComplete || !answers.every((answer) => answer?.kind === 'found')) return;
    this.#isSettled = true;
    setTimeout(() => {
      // A repository that joined meanwhile may not have the blob yet.
      if (this.#isSettled) void this.#fill.drop();
    }, this.#context.options.linger).unref();
  }

  /** Resolves when the uploads that have begun are over. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#uploads.values());
  }

  async #holdingFile(work: () => Promise<Stored>): Promise<Stored> {
    if (!this.#fill.hold()) return { kind: 'unavailable', reason: 'its file is gone' };
    try {
      return await work();
    } catch (error) {
      return { kind: 'unavailable', reason: String(error) };
    } finally {
      void this.#fill.release();
    }
  }

  #upload(name: string): Promise<Stored> {
    const fill = this.#fill;
    return this.#context.store.uploadAgain(
      name,
      fill.digest,
      () => new FillReader(fill),
      () => fill.size,
      () => this.#isOpen && (fill.state === 'flying' || fill.state === 'whole'),
    );
  }

  async #link(name: string, from: string, first: Promise<Stored>): Promise<Stored> {
    const fill = this.#fill;
    const answer = await first;
    await fill.ended;
    if (fill.state !== 'whole') return { kind: 'unavailable', reason: 'the blob did not arrive' };
    if (answer.kind !== 'found') return this.#upload(name);
    return this.#context.store.link(name, fill.digest, from, () => new FillReader(fill), fill.size ?? 0);
  }

  async #afterUpload(name: string, answer: Stored): Promise<void> {
    const { log, meter } = this.#context;
    const fill = this.#fill;
    meter('stores_total', { result: answer.kind === 'found' ? 'stored' : 'failed' });
    if (answer.kind === 'found') {
      this.#context.isReadOnly = false;
      return this.settle();
    }
    this.#uploads.delete(name);
    await fill.ended;
    if (fill.state !== 'whole' || fill.isGone) return;
    const facts = { repository: name, digest: fill.digest, reason: failureText(answer) };
    if (answer.kind !== 'unsupported') log.warn(facts, 'blob not stored; its file is kept for now');
    else if (!this.#context.isReadOnly) {
      // A read-only secondary refuses every blob: one line is enough.
      log.warn(facts, 'the secondary takes no writes: blobs are not stored; their files are kept for now');
      this.#context.isReadOnly = true;
    }
    await this.keepFile();
    this.#retryLater(name);
  }

  /** Tries again while the file exists. If the file is removed before, replication fetches the blob again. */
  #retryLater(name: string): void {
    if (!this.#isOpen) return;
    const pause = Math.min(RETRY_MAX, this.#context.options.storeAgainAfter * 2 ** this.#failures);
    this.#failures += 1;
    setTimeout(() => {
      if (this.#isOpen && !this.#fill.isGone) void this.storeIn(name);
    }, pause).unref();
  }

  get #storedNames(): readonly string[] {
    return this.names.filter(this.#context.isStored);
  }

  get #isOpen(): boolean {
    return !this.#context.closing.aborted;
  }
}
