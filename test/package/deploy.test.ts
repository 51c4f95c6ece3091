// deploy/: what each file names is there, and none is left untried.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { chartNginx } from '../../scripts/chart-nginx.mjs';
import { variables } from '../../src/config/variables.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const files = readdirSync(join(root, 'deploy'), { recursive: true, withFileTypes: true })
  .filter((one) => one.isFile())
  .map((one) => join(one.parentPath, one.name).slice(join(root, 'deploy/').length))
  .filter((path) => path !== 'README.md');

const rows = read('deploy/README.md')
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()));
const named = rows.flatMap(([, names = '']) => [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => name!));

test('the table of deploy/README.md has each file, and nothing else', () => {
  expect(
    files.filter((file) => !named.some((name) => file === name || (name.endsWith('/') && file.startsWith(name)))),
  ).toEqual([]);
  expect(named.filter((name) => !existsSync(join(root, 'deploy', name)))).toEqual([]);
});

test.each(rows)('%s%s is tried by what reads it', (_empty, names = '', _for = '', by = '') => {
  const triers = [...by.matchAll(/(?:test|scripts)\/[\w./-]+\.(?:ts|sh)/g)].map(([path]) => path);
  expect(triers.length).toBeGreaterThan(0);
  const text = triers.map(read).join('\n') + read('scripts/build-deb.mjs');
  for (const [, name] of names.matchAll(/`([^`]+)`/g)) {
    // By its name, or by that of its folder.
    const parts = name!.split('/').filter(Boolean);
    expect(
      [parts.at(-1)!, `deploy/${parts[0]}`].some((part) => text.includes(part)),
      name,
    ).toBe(true);
  }
});

test('every variable that a file names is one', () => {
  const known = new Set<string>(Object.values(variables).map(({ name }) => name));
  for (const file of files) {
    const names = new Set(read(join('deploy', file)).match(/\bGEO_[A-Z_]*[A-Z]\b/g) ?? []);
    expect(
      [...names].filter((name) => !known.has(name) && !known.has(name.replace(/_FILE$/, ''))),
      file,
    ).toEqual([]);
  }
});

const chart = 'deploy/helm/geo-registry-proxy';

test('the chart has the version of the program, and its alert rules are those of deploy/monitoring', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  expect(read(`${chart}/Chart.yaml`).match(/^(?:version|appVersion): .*$/gm)).toEqual([
    `version: ${version}`,
    `appVersion: ${version}`,
  ]);
  expect(read(`${chart}/files/alerts.yaml`)).toBe(read('deploy/monitoring/alerts.yaml'));
});

test('the chart’s nginx is nginx/unified-url.conf without TLS', () => {
  expect(read(`${chart}/files/one-url.conf`)).toBe(chartNginx(read('nginx/unified-url.conf')));
  expect(read(`${chart}/files/one-url.conf`)).not.toMatch(
    /ssl_certificate|listen .*443|registry\.(?:primary|secondary)/,
  );
});

test('each value of the chart is in its schema and is used', () => {
  const values = read(`${chart}/values.yaml`).match(/^\w+(?=:)/gm)!;
  const { properties } = JSON.parse(read(`${chart}/values.schema.json`)) as { properties: Record<string, unknown> };
  expect(
    Object.keys(properties)
      .filter((name) => name !== 'global')
      .toSorted(),
  ).toEqual(values.toSorted());
  const templates = readdirSync(join(root, chart, 'templates')).map((name) => read(join(chart, 'templates', name)));
  for (const name of values) expect(templates.join('\n'), name).toContain(`.Values.${name}`);
});
