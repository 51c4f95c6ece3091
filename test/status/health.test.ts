import { expect, test } from 'vitest';
import { found, unusable } from '../../src/registry/answer.ts';
import type { Registry } from '../../src/registry/registry.ts';
import {
  createCheckReadiness,
  createQuickReadiness,
  UNASKED,
  type Part,
  type Readiness,
} from '../../src/status/health.ts';

const ok: Readiness = UNASKED;
const degraded: Readiness = { ...UNASKED, status: 'degraded', reasons: ['the primary registry does not answer'] };

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

test.each([
  ['a helper that is not installed', 'docker-credential-ecr-login is not on PATH'],
  ['a token service that is away', 'token service auth.example.com: ECONNREFUSED'],
])('%s is trouble with credentials, and not a registry that cannot be reached', async (_what, reason) => {
  const outage = unusable('primary', `no credentials: ${reason}`);
  const primary = { ...registry('primary'), ping: () => Promise.resolve(outage) };
  const check = createCheckReadiness({
    registries: [primary, registry('secondary')],
    parts: [],
    phase: () => 'serving',
  });
  const { status, problems, registries } = await check();
  expect({ status, codes: problems.map(({ code }) => code) }).toEqual({
    status: 'degraded',
    codes: ['no-credentials'],
  });
  expect(problems[0]!.advice).toMatch(/^Add credentials for its host/);
  expect(registries!.primary).toMatchObject({ up: false, cause: expect.stringMatching(/^no credentials: /) });
});

/** A registry that answers, or does not. */
function registry(name: string, answers = true): Registry {
  const ping = answers
    ? () => Promise.resolve(found({ isRegistry: true, acceptsUs: true, hasDatabase: false, version: '' }))
    : () => Promise.resolve(unusable(name, 'no answer'));
  return { client: { registry: name, origin: new URL(`http://${name}.example.com`) }, ping } as unknown as Registry;
}

const well: Part = { what: 'the spool', code: 'disk-full', troubles: async () => [] };
const ill: Part = {
  what: 'the database',
  code: 'database-unavailable',
  troubles: async () => ['events cannot be stored: disk full'],
};
const stuck: Part = { what: 'the data directory', code: 'data-directory-gone', troubles: () => new Promise(() => {}) };

test('what is wrong beside the registries degrades, and what does not answer does', async () => {
  const registries = [registry('primary'), registry('secondary')];
  const of = (parts: readonly Part[]): Promise<Readiness> =>
    createCheckReadiness({ registries, parts, phase: () => 'serving' }, { patience: 20 })();
  expect(await of([well])).toMatchObject({ ready: true, status: 'ok', reasons: [] });
  expect(await of([stuck, well, ill])).toMatchObject({
    ready: true,
    status: 'degraded',
    reasons: ['the data directory does not answer', 'events cannot be stored: disk full'],
    problems: [{ code: 'data-directory-gone' }, { code: 'database-unavailable' }],
  });
});

test('nothing but two registries that do not answer makes it unready', async () => {
  const registries = [registry('primary', false), registry('secondary', false)];
  expect(await createCheckReadiness({ registries, parts: [ill], phase: () => 'serving' })()).toMatchObject({
    ready: false,
    status: 'no registry answers',
    reasons: [
      'events cannot be stored: disk full',
      'the primary registry cannot be reached: no answer',
      'the secondary registry cannot be reached: no answer',
    ],
  });
});
