// The Link of a list: what goes on, what ends, and what must not be taken for an end.
import { describe, expect, test } from 'vitest';
import { nextPage } from '../../src/registry/link.ts';

test.each([
  ['</v2/a/tags/list?n=1&last=b>; rel="next"', 'n=1&last=b'],
  ['</v2/a/tags/list?n=1&last=b>;rel=next', 'n=1&last=b'],
  ['  <?n=1>  ;  REL  =  "Next"  ', 'n=1'],
  ["<?n=1>; rel='next'", 'n=1'],
  ['<?n=1>; rel="prev next"', 'n=1'],
  ['<?n=0>; rel=first, <?n=1>; rel=next, <?n=2>; rel=next', 'n=1'],
  ['<?a>; title="x"; rel="next", <?b>; rel="next"', 'a'],
  ['<?a,b;c>; rel="next"', 'a,b;c'],
  ['<?x=%2F%2f+~*!(\'):@/?>; rel="next"', "x=%2F%2f+~*!('):@/?"],
  ['<?a b"c>; rel="next"', 'a%20b%22c'],
  ['<?a\x09\xe9>; rel="next"', 'a%09%E9'],
  ['<?a#b?c>; rel="next"', 'a'],
  [',, <?a>; ; rel="next" ,,', 'a'],
  ['<?a>; rel="next"; rel="prev"', 'a'],
  ['<?a>; title*=UTF-8\'\'x%22; rel="next"', 'a'],
  ['<?a>; title="\\\\"; rel="next"', 'a'],
  ['<?a>; title=a"b"; rel=prev, <?b>; rel="next"', undefined],
  ['<?a>', 'a'],
  ['<http://[>; rel="prev", <//x?a>; rel="next"', 'a'],
])('%s goes on at %s', (header, query) => {
  expect(nextPage(header)).toEqual(query === undefined ? { kind: 'unclear' } : { kind: 'page', query });
});

test('several headers are read as one', () => {
  expect(nextPage(['<?x>; rel="prev"', 'nonsense', '<?a>; rel="next"'])).toEqual({ kind: 'page', query: 'a' });
});

test.each([
  undefined,
  '',
  ' , ',
  '<?a>; rel="prev"',
  '<?a>; rel="nextish"',
  '<?a>; rel=""',
  '<a>',
  '<?a>, <?b>',
  'x',
  '<',
])('%s ends the list', (header) => {
  expect(nextPage(header)).toEqual({ kind: 'end' });
});

test.each([
  '<a>; rel="next"',
  '<>; rel="next"',
  '<a?>; rel="next"',
  '<a#?b>; rel="next"',
  'next',
  'a?b; rel="next"',
  '<?a; rel="next"',
  '<?a>; title="x; rel="next"',
  '<?a>; rel="next',
  '<?a> rel="next"',
  `<?${'a'.repeat(4_097)}>; rel="next"`,
  `${'<?a>; rel=prev, '.repeat(1_200)}<?b>; rel="next"`,
])('%s is not taken for the end', (header) => {
  expect(nextPage(header)).toEqual({ kind: 'unclear' });
});

describe('of hostile headers', () => {
  // Steps of a pattern cannot be counted: what is quadratic does not come to an end of so many within a test's time.
  const times = 300;
  const size = 16 * 1024;
  const fill = (text: string): string => text.repeat(Math.floor(size / text.length));

  test.each([
    ['open brackets', fill('<')],
    ['empty targets', fill('<>')],
    ['parameters', '<?a>' + fill(';x').slice(4)],
    ['spaces', `<?a>${fill(' ').slice(5)}x`],
    ['spaces before semicolons', `<?a>${fill(' ;').slice(5)}x`],
    ['spaces after a name', `<?a>;x${fill(' ').slice(7)}"`],
    ['escapes without an end', `<?a>;x="${fill('\\"').slice(9)}`],
    ['quotes', '<?a>' + fill(';x="y').slice(4)],
    ['relations', `<?a>;rel="${fill('a ').slice(11)}"`],
    ['links', fill('<a>;rel=x,')],
  ])('%s cost no more than their length', (_what, header) => {
    expect(header.length).toBeLessThanOrEqual(size);
    for (let nth = 0; nth < times; nth += 1) expect(nextPage(header).kind).toBeDefined();
  });
});
