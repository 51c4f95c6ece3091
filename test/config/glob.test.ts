import { expect, test } from 'vitest';
import { matchesRepository } from '../../src/config/glob.ts';

const cases: [glob: string, matching: string[], others: string[]][] = [
  ['grp', ['grp', 'grp/a', 'grp/a/b'], ['grpx/a', 'xgrp/a', 'grp.x', 'a/grp', 'a/grp/b']],
  ['grp/', ['grp/a', 'grp/a/b'], ['grp', 'grpx/a', 'a/grp/b']],
  ['grp/sub/', ['grp/sub/a', 'grp/sub/a/b'], ['grp/sub', 'grp/subx/a', 'grp/a']],
  ['grp/*', ['grp/a', 'grp/a-b.c'], ['grp', 'grp/a/b', 'grpx/a']],
  ['grp/**', ['grp/a', 'grp/a/b/c'], ['grp', 'grpx/a']],
  ['a/b', ['a/b'], ['a', 'a/b/c', 'a/bc', 'x/a/b']],
  ['a.b/c', ['a.b/c'], ['axb/c']],
  ['a/*/c', ['a/b/c'], ['a/c', 'a/b/b/c']],
  ['a/**/c', ['a/c', 'a/b/c', 'a/b/b/c'], ['a/b', 'a/c/d', 'c']],
  ['**/cache', ['cache', 'a/cache', 'a/b/cache'], ['a/cachex', 'a/cache/b']],
  ['**', ['a', 'a/b', 'a/b/c'], []],
  ['*', ['a'], ['a/b']],
  ['team-*/app', ['team-/app', 'team-a/app'], ['team/app', 'team-a/b/app']],
  ['a*b*c', ['abc', 'aXbXbXc', 'abcbc'], ['ab', 'abcd', 'acb']],
  ['**/a/**/b/**', ['a/b/c', 'x/a/a/y/b/b/c'], ['a/b', 'b/a/c', 'a/c']],
  ['a/*-debug', ['a/x-debug', 'a/-debug'], ['a/x-debugger', 'a/b/x-debug']],
];

test.each(cases)('%s takes %o and not %o', (glob, matching, others) => {
  expect([...matching, ...others].filter((name) => matchesRepository([glob], name))).toEqual(matching);
});

test('one of several globs is enough', () => {
  expect(matchesRepository(['a/b', 'grp/*'], 'grp/x')).toBe(true);
});

test('no glob takes nothing', () => {
  expect(matchesRepository([], 'grp/x')).toBe(false);
});

test('many stars cost no more than many characters', () => {
  expect(matchesRepository([`${'*a'.repeat(60)}*b`], 'a'.repeat(250))).toBe(false);
  expect(matchesRepository([`${'**/a/'.repeat(40)}b`], Array.from({ length: 120 }, () => 'a').join('/'))).toBe(false);
});
