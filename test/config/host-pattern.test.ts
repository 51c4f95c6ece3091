import { expect, test } from 'vitest';
import { hostPatterns, matchesHost } from '../../src/config/host-pattern.ts';
import { machine } from '../../src/config/variable.ts';

const cases: [text: string, matching: [string, number][], others: [string, number][]][] = [
  [
    'minio',
    [
      ['minio', 80],
      ['minio', 9000],
    ],
    [
      ['minio.example.com', 80],
      ['xminio', 80],
    ],
  ],
  ['minio:9000', [['minio', 9000]], [['minio', 9001]]],
  [
    '*.example.com',
    [
      ['a.example.com', 1],
      ['a.b.example.com', 1],
    ],
    [
      ['example.com', 1],
      ['aexample.com', 1],
    ],
  ],
  ['*.example.com:443', [['a.example.com', 443]], [['a.example.com', 80]]],
  [
    '0x7f.1, [::1]',
    [
      ['127.0.0.1', 1],
      ['::1', 2],
    ],
    [
      ['127.0.0.2', 1],
      ['::2', 1],
    ],
  ],
  ['', [], [['a', 1]]],
];

test.each(cases)('"%s" takes %o and not %o', (text, matching, others) => {
  const patterns = hostPatterns.parse(text, machine);
  expect([...matching, ...others].filter(([host, port]) => matchesHost(patterns, host, port))).toEqual(matching);
});
