// A database's thread as the main thread sees it: calls go over while it works, and what waits there is its next batch.
// So it begins with that at once, however long the main thread takes to hear of the one before.
/* oxlint-disable unicorn/require-post-message-target-origin -- that is for windows; this is a thread */
import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import type { Log } from '../../../lib/log.ts';
import { StoreUnavailable } from '../../rows.ts';
import { BATCH_MAX, type Call, type Result } from './batch.ts';
import { errorOf } from './failure.ts';

// Calls that are with the thread: the batch that it works on, and the next.
const SENT_MAX = 2 * BATCH_MAX;
// A database that hangs must not fill the memory with calls that wait for it.
const WAITING_MAX = 50_000;
// After a thread that died the next one is started no sooner, in milliseconds.
const RESTART_PAUSE = 1_000;

interface Pending {
  readonly call: Call;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

function settle({ resolve, reject }: Pending, result: Result): void {
  if ('failure' in result) reject(errorOf(result.failure));
  else resolve(result.value);
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
  #isClosed = false;

  constructor(start: () => Worker, log: Log) {
    this.#start = start;
    this.#log = log;
  }

  /** Has an operation carried out; calls end in their order. @throws StoreUnavailable and what the operation throws. */
  call(name: string, args: readonly unknown[]): Promise<unknown> {
    const reason = this.#refusal();
    if (reason) return Promise.reject(new StoreUnavailable(reason));
    const promise = new Promise((resolve, reject) => this.#waiting.push({ call: { name, args }, resolve, reject }));
    this.#last = promise;
    this.#sendSoon();
    return promise;
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

  /** Sends what is asked in this turn of the event loop together. */
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
    const answered = this.#sent.splice(0, results.length);
    for (const [index, result] of results.entries()) settle(answered[index]!, result);
    this.#sendSoon();
  }

  #bury(cause: unknown): void {
    this.#worker = undefined;
    const lost = [...this.#sent, ...this.#waiting];
    [this.#sent, this.#waiting] = [[], []];
    if (this.#isClosed && lost.length === 0) return;
    this.#log.error({ err: cause, calls: lost.length }, 'the thread of the database ended');
    for (const { reject } of lost) reject(new StoreUnavailable('the thread of the database ended', { cause }));
  }
}
