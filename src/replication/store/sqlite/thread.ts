// A database thread, seen from the main thread. Calls are sent while it works and wait there as its next batch. So it
// need not wait for the main thread between two batches.
/* oxlint-disable unicorn/require-post-message-target-origin -- that is for windows; this is a thread */
import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import type { Log } from '../../../lib/log.ts';
import { StoreUnavailable } from '../../rows.ts';
import { BATCH_MAX, type Call, type Result } from './batch.ts';
import { errorOf } from './failure.ts';

// Calls that were sent to the thread: the batch that it works on, and the next.
const SENT_MAX = 2 * BATCH_MAX;
// A database that hangs must not fill the memory with calls that wait for it.
const WAITING_MAX = 50_000;
// After a thread that died the next one is started no sooner, in milliseconds.
const RESTART_PAUSE = 1_000;

// A call that is not answered for so long (ms): the disk hangs.
const STUCK_AFTER = 10_000;

interface Pending {
  readonly call: Call;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Sends calls to a thread that is started with the first one, and again when it died. */
export class StoreThread {
  readonly #start: () => Worker;
  readonly #log: Log;
  #worker: Worker | undefined;
  #startedAt = -Infinity;
  #waiting: Pending[] = [];
  #sent: Pending[] = [];
  #last: Promise<unknown> = Promise.resolve();
  #isSending = false;
  /** Why a call failed, where the database was the reason; until a trial succeeds. */
  #trouble: string | undefined;
  /** When the thread last answered, or was sent calls after it had answered all. */
  #progressAt = 0;
  #isClosed = false;

  constructor(start: () => Worker, log: Log) {
    this.#start = start;
    this.#log = log;
  }

  /** Why the database does not work, for people; undefined while it does, as far as is known. */
  get trouble(): string | undefined {
    const isStuck = this.#sent.length > 0 && performance.now() - this.#progressAt > STUCK_AFTER;
    return isStuck ? 'the database does not answer' : this.#trouble;
  }

  /** Runs an operation; calls end in their order. @throws StoreUnavailable and what the operation throws. */
  call(name: string, args: readonly unknown[]): Promise<unknown> {
    const reason = this.#refusal();
    if (reason) return Promise.reject(new StoreUnavailable(reason));
    const promise = new Promise((resolve, reject) => this.#waiting.push({ call: { name, args }, resolve, reject }));
    this.#last = promise;
    this.#sendSoon();
    return promise;
  }

  /**
   * Tries an operation to see whether the database works; `isProof`: its success shows that it does. Does not reject.
   */
  async try(name: string, args: readonly unknown[], { isProof }: { readonly isProof: boolean }): Promise<void> {
    try {
      await this.call(name, args);
      if (isProof) this.#setTrouble(undefined);
    } catch (error) {
      this.#setTrouble((error as Error).message);
    }
  }

  /** Ends the thread once all calls are settled. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last.catch(() => undefined);
    if (!this.#worker) return;
    const ended = once(this.#worker, 'exit');
    this.#worker.postMessage('close');
    await ended;
  }

  #refusal(): string | undefined {
    if (this.#isClosed) return 'the store is closed';
    if (this.#waiting.length + this.#sent.length >= WAITING_MAX) return 'too many calls wait for the database';
    const isDown = !this.#worker && performance.now() - this.#startedAt < RESTART_PAUSE;
    return isDown ? 'the thread of the database is about to be started again' : undefined;
  }

  /** Sends all calls of this turn of the event loop together. */
  #sendSoon(): void {
    if (this.#isSending) return;
    this.#isSending = true;
    queueMicrotask(() => {
      this.#isSending = false;
      this.#send();
    });
  }

  #send(): void {
    const calls = this.#waiting.splice(0, Math.min(BATCH_MAX, SENT_MAX - this.#sent.length));
    if (calls.length === 0) return;
    this.#worker ??= this.#startWorker();
    if (this.#sent.length === 0) this.#progressAt = performance.now();
    this.#sent.push(...calls);
    this.#worker.postMessage(calls.map(({ call }) => call));
  }

  #startWorker(): Worker {
    this.#startedAt = performance.now();
    const worker = this.#start();
    let cause: unknown;
    worker.on('message', (results: readonly Result[]) => this.#receive(results));
    worker.on('error', (error) => (cause = error));
    worker.on('exit', () => this.#bury(cause));
    return worker;
  }

  #receive(results: readonly Result[]): void {
    this.#progressAt = performance.now();
    const answered = this.#sent.splice(0, results.length);
    for (const [index, result] of results.entries()) this.#settle(answered[index]!, result);
    this.#sendSoon();
  }

  #settle({ resolve, reject }: Pending, result: Result): void {
    if ('value' in result) return resolve(result.value);
    if (result.failure.kind === 'unavailable') this.#setTrouble(result.failure.message);
    return reject(errorOf(result.failure));
  }

  #setTrouble(trouble: string | undefined): void {
    if (trouble !== undefined && this.#trouble === undefined) this.#log.error({ reason: trouble }, 'database trouble');
    if (trouble === undefined && this.#trouble !== undefined) this.#log.info({}, 'the database works again');
    this.#trouble = trouble;
  }

  #bury(cause: unknown): void {
    this.#worker = undefined;
    const lost = [...this.#sent, ...this.#waiting];
    [this.#sent, this.#waiting] = [[], []];
    if (this.#isClosed && lost.length === 0) return;
    this.#log.error({ err: cause, calls: lost.length }, 'the thread of the database ended');
    this.#setTrouble('the thread of the database ended');
    for (const { reject } of lost) reject(new StoreUnavailable('the thread of the database ended', { cause }));
  }
}
