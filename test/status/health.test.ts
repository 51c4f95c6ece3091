import { expect, test } from 'vitest';
import type { Registry } from '../../src/registry/registry.ts';
import { createCheckReadiness, createQuickReadiness, type Part, type Readiness } from '../../src/status/health.ts';

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

/** A registry that answers, or does not. */
function registry(name: string, answers = true): Registry {
  const ping = answers
    ? () => Promise.resolve({ isRegistry: true, acceptsUs: true, hasDatabase: false })
    : () => Promise.reject(new Error('no answer'));
  return { client: { registry: name }, ping } as unknown as Registry;
}

const well: Part = { what: 'the spool', troubles: async () => [] };
const ill: Part = { what: 'the database', troubles: async () => ['events cannot be stored: disk full'] };
const stuck: Part = { what: 'the data directory', troubles: () => new Promise(() => {}) };

test('what is wrong beside the registries degrades, and what does not answer does', async () => {
  const registries = [registry('primary'), registry('secondary')];
  const of = (parts: readonly Part[]): Promise<Readiness> =>
    createCheckReadiness({ registries, parts, phase: () => 'serving' }, { patience: 20 })();
  expect(await of([well])).toEqual({ ready: true, status: 'ok', reasons: [] });
  expect(await of([stuck, well, ill])).toEqual({
    ready: true,
    status: 'degraded',
    reasons: ['the data directory does not answer', 'events cannot be stored: disk full'],
  });
});

test('nothing but two registries that do not answer makes it unready', async () => {
  const registries = [registry('primary', false), registry('secondary', false)];
  expect(await createCheckReadiness({ registries, parts: [ill], phase: () => 'serving' })()).toEqual({
    ready: false,
    status: 'no registry answers',
    reasons: [
      'the primary registry cannot be reached',
      'the secondary registry cannot be reached',
      'events cannot be stored: disk full',
    ],
  });
});
