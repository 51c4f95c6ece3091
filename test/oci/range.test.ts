import { describe, expect, it } from 'vitest';
import { parseContentRange, parseRange, rangeHeader, resolveRange, type ByteRange } from '../../src/oci/range.ts';

describe('parseRange', () => {
  it.each<[string, ByteRange]>([
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=5-', { start: 5 }],
    ['bytes=-5', { suffix: 5 }],
    [' bytes=1-2 ', { start: 1, end: 2 }],
  ])('reads %j, which is written in the same way', (header, range) => {
    expect(parseRange(header)).toEqual(range);
    expect(rangeHeader(range)).toBe(header.trim());
  });

  it.each([
    undefined,
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=0-1,3-4',
    'bytes=a-b',
    'bytes=1.5-2',
    'bytes=--1',
    'bytes=0-9999999999999999',
    'items=0-1',
  ])('takes %j as none', (header) => {
    expect(parseRange(header)).toBeUndefined();
  });
});

describe('resolveRange', () => {
  it.each<[string, number, ReturnType<typeof resolveRange>]>([
    ['bytes=0-', 10, { start: 0, end: 9 }],
    ['bytes=9-', 10, { start: 9, end: 9 }],
    ['bytes=2-5', 10, { start: 2, end: 5 }],
    ['bytes=2-99', 10, { start: 2, end: 9 }],
    ['bytes=-3', 10, { start: 7, end: 9 }],
    ['bytes=-99', 10, { start: 0, end: 9 }],
    ['bytes=10-', 10, undefined],
    ['bytes=10-20', 10, undefined],
    ['bytes=5-0', 10, undefined],
    ['bytes=-0', 10, undefined],
    ['bytes=0-', 0, undefined],
    ['bytes=-1', 0, undefined],
  ])('of %s in %i bytes is %j', (header, size, span) => {
    expect(resolveRange(parseRange(header)!, size)).toEqual(span);
  });
});

describe('parseContentRange', () => {
  it.each<[string, ReturnType<typeof parseContentRange>]>([
    ['bytes 0-9/10', { start: 0, end: 9, size: 10 }],
    ['bytes 5-5/*', { start: 5, end: 5 }],
    [' bytes 5-6/7 ', { start: 5, end: 6, size: 7 }],
  ])('reads %j', (header, span) => {
    expect(parseContentRange(header)).toEqual(span);
  });

  it.each([undefined, '', 'bytes */10', 'bytes 5-4/10', 'bytes 0-10/10', 'bytes 0-9', 'bytes=0-9/10', 'items 0-9/10'])(
    'takes %j as none',
    (header) => {
      expect(parseContentRange(header)).toBeUndefined();
    },
  );
});
