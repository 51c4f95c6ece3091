import { expect, test } from 'vitest';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { topics } from '../../scripts/bench/topics.ts';
import { scaled } from '../support/patience.ts';
import { run } from '../support/tool.ts';

const clone = resolve(import.meta.dirname, '../..');
const script = join(clone, 'scripts/bench.ts');

function bench(...args: string[]): ReturnType<typeof run> {
  return run(process.execPath, [script, ...args], { timeout: 120_000 });
}

test('a quick run of one topic gives its figures as JSON', { timeout: scaled(120_000) }, async () => {
  const { code, stdout, stderr } = await bench('--quick', '--json', 'start');
  expect(code, stderr).toBe(0);
  const { quick, sections } = JSON.parse(stdout) as { quick: boolean; sections: object[] };
  expect(quick).toBe(true);
  expect(sections).toEqual([
    expect.objectContaining({
      topic: 'start',
      figures: expect.arrayContaining([
        expect.objectContaining({
          unit: 'ms',
          runs: 1,
          value: expect.any(Number) as number,
          verdict: expect.stringMatching(/^(?:ok|missed)$/) as string,
        }),
      ]) as object[],
    }),
  ]);
});

test('a topic that there is not is named, with those that there are', async () => {
  const { code, stderr } = await bench('manifest-destiny');
  expect(code).toBe(1);
  expect(stderr).toContain('no topic "manifest-destiny"');
  expect(stderr).toMatch(/^ {2}start +\S/m);
});

test('CONTRIBUTING.md lists the topics, in their order', async () => {
  const text = await readFile(join(clone, 'CONTRIBUTING.md'), 'utf8');
  const section = text.slice(text.indexOf('\n## Benchmark'), text.indexOf('\n## Commits'));
  const listed = [...section.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name]) => name);
  expect(listed).toEqual(topics.map(({ name }) => name));
});
