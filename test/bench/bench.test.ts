import { expect, test } from 'vitest';
import { join, resolve } from 'node:path';
import { run } from '../support/tool.ts';

const script = join(resolve(import.meta.dirname, '../..'), 'scripts/bench.ts');

function bench(...args: string[]): ReturnType<typeof run> {
  return run(process.execPath, [script, ...args], { timeout: 120_000 });
}

test('a quick run of one topic gives its figures as JSON', { timeout: 120_000 }, async () => {
  const { code, stdout, stderr } = await bench('--quick', '--json', 'start');
  expect(code, stderr).toBe(0);
  const { quick, sections } = JSON.parse(stdout) as { quick: boolean; sections: object[] };
  expect(quick).toBe(true);
  expect(sections).toEqual([
    expect.objectContaining({
      topic: 'start',
      figures: [expect.objectContaining({ unit: 'ms', runs: 1, value: expect.any(Number) as number })],
    }),
  ]);
});

test('a topic that there is not is named, with those that there are', async () => {
  const { code, stderr } = await bench('manifest-destiny');
  expect(code).toBe(1);
  expect(stderr).toContain('no topic "manifest-destiny"');
  expect(stderr).toMatch(/^ {2}start +\S/m);
});
