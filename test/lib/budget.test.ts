import { expect, test } from 'vitest';
import { createBudget, type Budget } from '../../src/lib/budget.ts';
import type { Ticket } from '../../src/lib/slots.ts';

interface Sleeper {
  readonly until: number;
  readonly wake: () => void;
}

/** A budget whose time goes on only when told, and then wakes those whose time has come, in order. */
function timed(bytesPerSecond: number): { budget: Budget; advance(time: number): Promise<void>; readonly now: number } {
  let now = 0;
  const sleepers = new Set<Sleeper>();
  const budget = createBudget(bytesPerSecond, {
    clock: () => now,
    sleep: (time, signal) =>
      new Promise<void>((resolve, reject) => {
        const sleeper = { until: now + time, wake: resolve };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', () => {
          sleepers.delete(sleeper);
          reject(new Error('woken'));
        });
      }),
  });
  return {
    budget,
    get now() {
      return now;
    },
    async advance(time) {
      const end = now + time;
      for (;;) {
        await settle();
        const next = [...sleepers].filter(({ until }) => until <= end).toSorted((a, b) => a.until - b.until)[0];
        if (!next) break;
        now = next.until;
        sleepers.delete(next);
        next.wake();
      }
      now = end;
      await settle();
    },
  };
}

const settle = (): Promise<void> => new Promise((settled) => setImmediate(settled));
const background = (): Ticket => ({ priority: 'background' });

/** Spends chunks one after the other until there are no more, and tells how many it has spent. */
function spending(budget: Budget, ticket: Ticket, chunk: number, count: number): { readonly spent: number } {
  const state = { spent: 0 };
  const work = async (): Promise<void> => {
    for (let nth = 0; nth < count; nth += 1) {
      await budget.spend(ticket, chunk);
      state.spent += chunk;
    }
  };
  void work();
  return state;
}

test('background work takes so many bytes a second, all of it together', async () => {
  const { budget, advance } = timed(1_000);
  const all = [1, 2, 3, 4].map(() => spending(budget, background(), 100, 1_000));
  await advance(10_000);
  const spent = all.map((one) => one.spent);
  expect(spent.reduce((sum, one) => sum + one)).toBe(10_000);
  expect(Math.max(...spent) - Math.min(...spent)).toBeLessThanOrEqual(100);
});

test('a client never waits', async () => {
  const { budget } = timed(1);
  void budget.spend(background(), 1_000_000);
  await budget.spend({ priority: 'on-demand' }, 1_000_000);
});

test('one that is raised while it waits goes on at once, and gives the others what it did not wait for', async () => {
  const { budget, advance } = timed(1_000);
  const ticket = background();
  const raised = spending(budget, ticket, 60_000, 3);
  await settle();
  ticket.priority = 'on-demand';
  budget.poke();
  await settle();
  expect(raised.spent).toBe(180_000);
  const other = spending(budget, background(), 100, 1_000);
  await advance(5_000);
  expect(other.spent).toBeGreaterThanOrEqual(3_900);
});

test('poking changes nothing for those who stay in the background', async () => {
  const { budget, advance } = timed(1_000);
  const one = spending(budget, background(), 1_000, 10);
  await settle();
  budget.poke();
  await settle();
  expect(one.spent).toBe(0);
  await advance(1_000);
  expect(one.spent).toBe(1_000);
});

test('clients come first: their bytes are taken from the background, which goes on slowly', async () => {
  const { budget, advance } = timed(1_000);
  const work = spending(budget, background(), 100, 1_000);
  for (let second = 0; second < 10; second += 1) {
    await budget.spend({ priority: 'on-demand' }, 10_000);
    await advance(1_000);
  }
  expect(work.spent).toBeGreaterThan(0);
  expect(work.spent).toBeLessThanOrEqual(2_000);
  await advance(10_000);
  expect(work.spent).toBeGreaterThanOrEqual(10_000);
});

test('what was not used is not made up for', async () => {
  const { budget, advance } = timed(1_000);
  await advance(60_000);
  const work = spending(budget, background(), 100, 1_000);
  await advance(1_000);
  expect(work.spent).toBeLessThanOrEqual(1_000);
});

test('one that is aborted while it waits fails', async () => {
  const { budget } = timed(1);
  const abort = new AbortController();
  const waiting = budget.spend(background(), 1_000, abort.signal);
  abort.abort(new Error('no more'));
  await expect(waiting).rejects.toThrow('no more');
  await expect(budget.spend(background(), 1_000, abort.signal)).rejects.toThrow('no more');
});
