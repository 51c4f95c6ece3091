import { expect, test } from 'vitest';
import { createSingleFlight } from '../../src/lib/single-flight.ts';

test('callers of one key share one call, its result and its error, and the next call is a new one', async () => {
  const flight = createSingleFlight<number>();
  const calls: PromiseWithResolvers<number>[] = [];
  const call = (): Promise<number> => {
    const made = Promise.withResolvers<number>();
    calls.push(made);
    return made.promise;
  };
  const first = [flight('a', call), flight('a', call), flight('b', call)];
  expect(calls).toHaveLength(2);
  calls[0]!.resolve(1);
  calls[1]!.resolve(2);
  expect(await Promise.all(first)).toEqual([1, 1, 2]);

  const second = [flight('a', call), flight('a', call)];
  expect(calls).toHaveLength(3);
  calls[2]!.reject(new Error('no'));
  for (const caller of second) await expect(caller).rejects.toThrow('no');

  const third = flight('a', call);
  calls[3]!.resolve(4);
  expect(await third).toBe(4);
});
