// What docs/configuration.md, README and `--help` say of the variables, against the declaration and the program itself.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { configurationHelp, configurationTable } from '../../src/config/table.ts';
import { variables } from '../../src/config/variables.ts';
import { startProxy } from '../../src/main.ts';
import { image } from '../support/image.ts';
import { pushImage } from '../support/push.ts';
import { startRegistry } from '../support/registry.ts';
import { waitFor } from '../support/tool.ts';
import { environment, problems } from './environment.ts';

function linesOf(file: string): string[] {
  return readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8').split('\n');
}

const readme = linesOf('README.md');

/** README's environment files, the first for GitLab Geo, the second for two registries without authentication. */
const files = readme
  .join('\n')
  .split('```ini\n')
  .slice(1)
  .map((rest) => rest.slice(0, rest.indexOf('```')).trim().split('\n'))
  .map((lines) => Object.fromEntries(lines.map((line) => line.split('=') as [string, string])));

test("the table of docs/configuration.md is the declaration's", () => {
  const rows = linesOf('docs/configuration.md').filter((line) => line.startsWith('| `GEO_'));
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

test('README is short, and its variables exist', () => {
  expect(readme.length - 1).toBeLessThanOrEqual(150);
  const named = new Set(readme.join('\n').match(/\bGEO_[A-Z_]+/g));
  const declared = new Set<string>(Object.values(variables).map(({ name }) => name));
  expect([...named].filter((name) => !declared.has(name))).toEqual([]);
});

test('README’s environment for GitLab Geo is a whole one', () => {
  const { GEO_KEY_FILE, GEO_DATA_DIR } = environment();
  expect(problems({ ...files[0], GEO_KEY_FILE, GEO_DATA_DIR })).toEqual([]);
  expect(Object.keys(files[0] ?? {})).toEqual(Object.keys(environment()));
});

test('README’s environment for two plain registries serves and stores what the primary has', async () => {
  const [primary, secondary] = await Promise.all([
    startRegistry({ name: 'primary' }),
    startRegistry({ name: 'secondary' }),
  ]);
  const places = {
    GEO_PRIMARY_URL: primary.url,
    GEO_SECONDARY_URL: secondary.url,
    GEO_DATA_DIR: environment()['GEO_DATA_DIR']!,
    GEO_LISTEN: '127.0.0.1:0',
    GEO_ADMIN_LISTEN: '127.0.0.1:0',
    GEO_LOG_LEVEL: 'silent',
  };
  const proxy = await startProxy(loadConfig({ ...files[1], ...places }));
  try {
    const pushed = image('plain');
    await pushImage({ url: primary.url, repository: 'group/app' }, 'v1', pushed);
    const hasTag = async (url: string): Promise<boolean> => {
      const answer = await fetch(`${url}/v2/group/app/manifests/v1`, { headers: { accept: pushed.mediaType } });
      return answer.headers.get('docker-content-digest') === pushed.digest;
    };
    expect(await hasTag(proxy.url)).toBe(true);
    await waitFor(() => hasTag(secondary.url), { what: 'the image in the secondary registry', timeout: 20_000 });
  } finally {
    await proxy.close();
    await Promise.all([primary.close(), secondary.close()]);
  }
});
