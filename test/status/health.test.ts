import { expect, test } from 'vitest';
import { createQuickReadiness, type Readiness } from '../../src/status/health.ts';

const ok: Readiness = { ready: true, status: 'ok', reasons: [] };
const degraded: Readiness = { ready: true, status: 'degraded', reasons: ['the primary registry does not answer'] };

test('an answer that comes at once is given', async () => {
  const answers = [ok, degraded];
  const check = createQuickReadiness(async () => answers.shift()!);
  expect([await check(), await check()]).toEqual([ok, degraded]);
});

test('where an answer takes longer the one before is given, and the late one from then on', async () => {
  const late = Promise.withResolvers<Readiness>();
  const answers = [Promise.resolve(ok), late.promise];
  const check = createQuickReadiness(() => answers.shift()!, { patience: 1 });
  await check();
  expect(await check()).toBe(ok);
  late.resolve(degraded);
  expect(await check()).toBe(degraded);
});

test('the first answer is waited for, and asked for once', async () => {
  const first = Promise.withResolvers<Readiness>();
  let asked = 0;
  const check = createQuickReadiness(
    () => {
      asked += 1;
      return first.promise;
    },
    { patience: 1 },
  );
  const both = Promise.all([check(), check()]);
  first.resolve(ok);
  expect(await both).toEqual([ok, ok]);
  expect(asked).toBe(1);
});
