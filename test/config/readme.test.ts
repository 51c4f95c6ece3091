import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configurationHelp, configurationTable } from '../../src/config/table.ts';
import { variables } from '../../src/config/variables.ts';

test("README's configuration table is the declaration's", () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8').split('\n');
  const rows = readme.filter((line) => line.startsWith('| `GEO_'));
  const declared = configurationTable().split('\n').slice(2);
  expect(rows).toEqual(declared);
});

test('the table has a row of three cells for each variable', () => {
  const [, , ...rows] = configurationTable().split('\n');
  expect(rows.map((row) => row.split('|').length)).toEqual(Object.values(variables).map(() => 5));
});

test.each(Object.values(variables))('--help tells of $name', ({ name }) => {
  expect(configurationHelp()).toMatch(new RegExp(`^  ${name} `, 'm'));
});
