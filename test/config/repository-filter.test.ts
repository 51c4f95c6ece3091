import { expect, test } from 'vitest';
import { parseRepositoryFilter } from '../../src/config/repository-filter.ts';

test.each([
  ['group/app', 'group/app', 'group/app/sub'],
  ['group', 'group/app', 'other/group'],
  ['group/*', 'group/app', 'group/app/sub'],
  ['group/**', 'group/app/sub', 'group'],
  ['a/b, c/d', 'c/d', 'c/e'],
])('%s means %s, and not %s', (text, meant, other) => {
  const { matches } = parseRepositoryFilter(text);
  expect([matches(meant), matches(other)]).toEqual([true, false]);
});

test.each([
  ['group/app', 'group/app'],
  ['group', undefined],
  ['group/', undefined],
  ['group/app/', undefined],
  ['group/*', undefined],
  ['a/b,c/d', undefined],
])('%s can only be %s', (text, exact) => {
  expect(parseRepositoryFilter(text).exact).toBe(exact);
});
