// The queue of copies, in memory: what is lost with the process is found again by the next pull.
import type { Log } from '../lib/log.ts';
import type { Meter } from '../lib/meter.ts';
import { referenceText, type Reference } from '../oci/reference.ts';
import type { Copy } from './copy.ts';

/** Copies that wait, run, and come back after a pause when they fail. */
export interface CopyQueue {
  enqueue(wish: { readonly name: string; readonly reference: Reference }): void;
  /** Resolves when nothing waits or runs; copies that failed and wait for their next try do not count. */
  idle(): Promise<void>;
  /** Starts no more; resolves when what runs has ended or after `grace` milliseconds. */
  close(grace: number): Promise<void>;
}

/** Times in milliseconds. */
export interface QueueOptions {
  readonly concurrency?: number;
  /** Wishes that are held at once; more are dropped, the oldest failed ones first. */
  readonly max?: number;
  readonly pause?: number;
  readonly pauseMax?: number;
  readonly attempts?: number;
}

interface Wish {
  readonly name: string;
  readonly reference: Reference;
  attempts: number;
  /** Asked for again while it ran: what it copied may be old by now. */
  again: boolean;
  timer?: NodeJS.Timeout;
}

/** A queue of bounded size; a wish that is in it already is not added twice. */
export function createCopyQueue(
  deps: { copy: Copy; log: Log; meter: Meter },
  { concurrency = 4, max = 10_000, pause = 1_000, pauseMax = 600_000, attempts = 10 }: QueueOptions = {},
): CopyQueue {
  const { copy, log, meter } = deps;
  const waiting = new Map<string, Wish>();
  const running = new Map<string, Wish>();
  const failed = new Map<string, Wish>();
  const idlers: (() => void)[] = [];
  let closed = false;

  function later(key: string, wish: Wish, error: unknown): void {
    wish.attempts += 1;
    const facts = { repository: wish.name, reference: referenceText(wish.reference), attempts: wish.attempts };
    log.warn({ ...facts, reason: (error as Error).message }, 'image not copied yet');
    if (wish.attempts >= attempts || closed) return;
    const wait = Math.min(pauseMax, pause * 2 ** (wish.attempts - 1)) * (0.5 + Math.random() / 2);
    wish.timer = setTimeout(() => {
      failed.delete(key);
      add(key, wish);
    }, wait);
    wish.timer.unref();
    failed.set(key, wish);
  }

  async function run(key: string, wish: Wish): Promise<void> {
    running.set(key, wish);
    try {
      const result = await copy(wish.name, wish.reference);
      meter('copies_total', { result });
      log.debug({ repository: wish.name, reference: referenceText(wish.reference), result }, 'image copied');
      if (wish.again && !closed) waiting.set(key, { ...wish, again: false, attempts: 0 });
    } catch (error) {
      meter('copies_total', { result: 'failed' });
      later(key, wish, error);
    } finally {
      running.delete(key);
      next();
    }
  }

  function next(): void {
    for (let free = closed ? 0 : concurrency - running.size; free > 0; free -= 1) {
      const first = waiting.entries().next().value;
      if (!first) break;
      waiting.delete(first[0]);
      void run(...first);
    }
    if (waiting.size === 0 && running.size === 0) for (const wake of idlers.splice(0)) wake();
  }

  function makeRoom(): void {
    if (waiting.size + failed.size < max) return;
    const [key, oldest] = failed.entries().next().value ?? waiting.entries().next().value ?? [];
    if (key === undefined) return;
    clearTimeout(oldest?.timer);
    failed.delete(key);
    waiting.delete(key);
  }

  function add(key: string, wish: Wish): void {
    if (closed || waiting.has(key)) return;
    const under = running.get(key);
    if (under) {
      under.again = true;
      return;
    }
    makeRoom();
    waiting.set(key, wish);
    next();
  }

  return {
    enqueue({ name, reference }) {
      const key = `${name}:${referenceText(reference)}`;
      const before = failed.get(key);
      if (before) {
        clearTimeout(before.timer);
        failed.delete(key);
      }
      add(key, { name, reference, attempts: before?.attempts ?? 0, again: false });
    },
    idle: () =>
      waiting.size + running.size === 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            idlers.push(resolve);
          }),
    async close(grace) {
      closed = true;
      for (const { timer } of failed.values()) clearTimeout(timer);
      waiting.clear();
      if (running.size === 0) return;
      await new Promise<void>((resolve) => {
        setTimeout(resolve, grace).unref();
        idlers.push(resolve);
      });
    },
  };
}
