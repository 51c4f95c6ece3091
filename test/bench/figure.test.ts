import { expect, test } from 'vitest';
import { median, missedBy, percentile, ratio, verdict, type Figure } from '../../scripts/bench/figure.ts';
import { inTurns } from '../../scripts/bench/bench.ts';
import { plain, sectionText, summaryText } from '../../scripts/bench/table.ts';

const figure = (more: Partial<Figure>): Figure => ({ name: 'a figure', value: 1, unit: 'ms', runs: 5, ...more });

test('the median is the middle one, or the mean of the middle two', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 2, 9])).toBe(3);
  expect(median([])).toBeNaN();
});

test('a percentile is a value that was measured', () => {
  const values = Array.from({ length: 200 }, (_, nth) => nth + 1);
  expect(percentile(values, 0.99)).toBe(198);
  expect(percentile([7], 0.99)).toBe(7);
});

test('a ratio compares turn by turn', () => {
  // The second turn was slow for both sides.
  expect(ratio([2, 20, 2], [1, 10, 1])).toBe(2);
});

test.each([
  { value: 20, limit: { atMost: 20 }, says: 'ok', by: undefined },
  { value: 30, limit: { atMost: 20 }, says: 'missed', by: 0.5 },
  { value: 10, limit: { atLeast: 10 }, says: 'ok', by: undefined },
  { value: 5, limit: { atLeast: 10 }, says: 'missed', by: 0.5 },
  { value: undefined, limit: { atLeast: 10 }, says: 'n/a', by: undefined },
])('$value with the limit $limit is $says', ({ value, limit, says, by }) => {
  expect(verdict(figure({ value, limit }))).toBe(says);
  expect(missedBy(figure({ value, limit }))).toBe(by);
});

test('contenders are measured turn by turn, each first in its turn', async () => {
  const order: string[] = [];
  const contender = (name: string) => async (turn: number) => {
    order.push(name + turn);
    return turn;
  };
  const measured = await inTurns(2, { a: contender('a'), b: contender('b') });
  expect(order).toEqual(['a0', 'b0', 'b1', 'a1']);
  expect(measured).toEqual({ a: [0, 1], b: [0, 1] });
});

test('the table says what misses its limit, by how much, and what could not be measured', () => {
  const figures = [
    figure({ name: 'fast', value: 5, limit: { atMost: 20 } }),
    figure({ name: 'slow', value: 30, limit: { atMost: 20 }, note: 'why' }),
    figure({ name: 'absent', value: undefined, limit: { atLeast: 2 }, unit: 'x' }),
  ];
  const section = { topic: 'tries', about: 'things', figures };
  const text = plain(sectionText(section));
  expect(text).toMatch(/fast +5\.00 ms +<= 20 ms +5 +ok/);
  expect(text).toMatch(/slow +30\.0 ms +<= 20 ms +5 +MISSED by 50%/);
  expect(text).toMatch(/absent +n\/a +>= 2 x/);
  expect(text).toContain('· why');
  expect(plain(summaryText([section]))).toBe(
    '1 of 3 limits kept, 1 missed, 1 not measured\n  tries: slow: 30.0 ms, MISSED by 50%',
  );
});
