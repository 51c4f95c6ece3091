import { expect, test } from 'vitest';
import { createPace } from '../../src/cli/pace.ts';
import { shortDigests, shortened, table, wrapped } from '../../src/cli/terminal.ts';

const MIB = 2 ** 20;

test('a rate is that of the last half minute, and not told before three seconds', () => {
  let now = 0;
  const paceOf = createPace(() => now);
  expect(paceOf({ done: 10, bytes: 5 * MIB })).toMatchObject({ bytes: 0, bytesPerSecond: undefined });
  now = 1_000;
  expect(paceOf({ done: 11, bytes: 6 * MIB }).timeFor(10)).toBeUndefined();
  now = 10_000;
  const pace = paceOf({ done: 20, bytes: 25 * MIB });
  expect(pace).toMatchObject({ bytes: 20 * MIB, bytesPerSecond: 2 * MIB });
  expect(pace.timeFor(30)).toBe(30_000);
  now = 100_000;
  paceOf({ done: 20, bytes: 25 * MIB });
  now = 110_000;
  // What was before the half minute says nothing of now.
  expect(paceOf({ done: 20, bytes: 25 * MIB })).toMatchObject({ bytes: 20 * MIB, bytesPerSecond: 0 });
  expect(paceOf({ done: 20, bytes: 25 * MIB }).timeFor(1)).toBeUndefined();
});

test('texts are made to fit', () => {
  expect(shortened('group/project/app', 9)).toBe('grou…/app');
  expect(shortDigests(`blob sha256:${'a'.repeat(64)}: gone`)).toBe(`blob sha256:${'a'.repeat(12)}: gone`);
  expect(wrapped('one two three', 8)).toEqual(['one two', 'three']);
  expect(
    table([
      ['a', 'b'],
      ['long', '\u001b[31mred\u001b[39m', 'c'],
      ['x', 'y', 'z'],
    ]),
  ).toEqual(['a     b', 'long  \u001b[31mred\u001b[39m  c', 'x     y    z']);
});
