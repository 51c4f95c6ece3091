import { expect, test } from 'vitest';
import {
  bytesText,
  counted,
  countText,
  durationText,
  fromNow,
  imageText,
  visibleText,
} from '../../src/status/figures.ts';

test('counts have their thousands apart, and nouns their number', () => {
  expect(countText(1_234_567)).toBe('1,234,567');
  expect([counted(1, 'tag'), counted(0, 'tag'), counted(2, 'repository', 'repositories')]).toEqual([
    '1 tag',
    '0 tags',
    '2 repositories',
  ]);
});

test.each([
  [0, '0 B'],
  [1_023, '1023 B'],
  [1_024, '1.0 KiB'],
  [1_536, '1.5 KiB'],
  [123 * 2 ** 20, '123 MiB'],
  [5 * 2 ** 40, '5.0 TiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});

test.each([
  [0, '0 ms'],
  [999, '999 ms'],
  [1_000, '1 s'],
  [64_000, '1 min 4 s'],
  [60_000, '1 min'],
  [3_600_000 + 59_000, '1 h'],
  [90_061_000, '1 d 1 h'],
])('%d ms are %s', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});

test.each([
  [-240_000, 'in 4 min'],
  [0, 'now'],
  [180_000, '3 min ago'],
])('a time %d ms ago is %s', (ago, text) => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  expect(fromNow(new Date(now - ago).toISOString(), now)).toBe(text);
});

test('images are written as clients write them', () => {
  expect(imageText('group/app', '1.0')).toBe('group/app:1.0');
  expect(imageText('group/app', 'sha256:ab')).toBe('group/app@sha256:ab');
  expect(imageText('group/app', '*')).toBe('group/app, all of it');
});

test('what nobody sees is shown: controls of a terminal, turned directions, lone surrogates', () => {
  expect(visibleText('a\u001b[31mb\u202ec\u200bd\ud800e\u0085\u2028')).toBe(
    'a\ufffd[31mb\ufffdc\ufffdd\ufffde\ufffd\ufffd',
  );
  expect(visibleText('two\r\nlines\tapart')).toBe('two lines apart');
  expect(visibleText('grün 日本 👍')).toBe('grün 日本 👍');
});
