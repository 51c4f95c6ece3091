// Time limits of tests go through one factor.
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const tests = resolve(import.meta.dirname, '..');
const files = readdirSync(tests, { recursive: true, encoding: 'utf8' }).filter(
  (name) => name.endsWith('.ts') && name !== 'setup/patience.test.ts',
);

function linesWith(pattern: RegExp): string[] {
  return files.flatMap((name) =>
    readFileSync(join(tests, name), 'utf8')
      .split('\n')
      .filter((line) => pattern.test(line))
      .map((line) => `${name}: ${line.trim()}`),
  );
}

test('no test has a limit of its own that knows nothing of the machine', () => {
  // `waitFor`, `run` and the processes of test/support scale what they are given.
  expect(linesWith(/^\}, [\d_]+\);/)).toEqual([]);
  expect(linesWith(/\bvi\.wait(?:For|Until)\(|expect\.poll\(/)).toEqual([]);
  expect(linesWith(/\{ timeout: [\d_]+ \}, (?:async )?\(/)).toEqual([]);
  expect(linesWith(/AbortSignal\.timeout\(\d/)).toEqual([]);
  expect(linesWith(/_TIMEOUT: '\d+ms'/).filter((line) => !/SHUTDOWN/.test(line))).toEqual([]);
});
