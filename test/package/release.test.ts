// A release: its version is told in the changelog, its files are complete, and the pipelines run what there is.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { makeRelease, troublesOf } from '../../scripts/release.mjs';
import { tempDir } from '../support/tool.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const released = '# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-26\n\n- one\n';

test('a version that the changelog has, with nothing left over, may be released', () => {
  expect(troublesOf('1.2.3', released)).toEqual([]);
});

test.each([
  ['another version', released.replace('1.2.3', '1.2.2'), /no section "## \[1\.2\.3\] - <date>"/],
  ['a version without a date', released.replace('2026-11-26', 'unreleased'), /no section/],
  [
    'something under Unreleased',
    released.replace('[Unreleased]\n', '[Unreleased]\n\n- two\n'),
    /Unreleased is not empty/,
  ],
])('%s is no release', (_what, changelog, trouble) => {
  expect(troublesOf('1.2.3', changelog)).toEqual([expect.stringMatching(trouble)]);
});

test('the pipelines run scripts that there are', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const file of ['.gitlab-ci.yml', '.github/workflows/ci.yml']) {
    const named = [...read(file).matchAll(/npm (?:run )?(?!ci\b)([\w:]+)/g)].map(([, name]) => name!);
    const called = named.filter((name) => name !== 'sets');
    expect(called).toEqual(expect.arrayContaining(['test', 'release']));
    for (const name of called) expect(Object.keys(scripts), `${file}: npm run ${name}`).toContain(name);
  }
});

test('the files of a release have their checksums, and the bill of materials names what is inside', async () => {
  await using scratch = await tempDir();
  const folder = join(scratch.path, 'release');
  await makeRelease(folder);
  const sums = readFileSync(join(folder, 'SHA256SUMS'), 'utf8').trim().split('\n');
  const names = readdirSync(folder).filter((name) => name !== 'SHA256SUMS');
  expect(names).toEqual(expect.arrayContaining(['geo-registry-proxy.mjs', 'geo-registry-proxy.cdx.json']));
  for (const end of ['.tgz', '.deb']) expect(names.some((name) => name.endsWith(end))).toBe(true);
  for (const line of sums) {
    const [sum, name] = line.split('  ') as [string, string];
    expect(
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
    ).toBe(sum);
  }
  expect(sums).toHaveLength(names.length);
  const { components } = JSON.parse(readFileSync(join(folder, 'geo-registry-proxy.cdx.json'), 'utf8')) as {
    components: { name: string }[];
  };
  const inside = components.map(({ name }) => name);
  expect(inside).toEqual(expect.arrayContaining(['fastify', 'undici', 'jose']));
  expect(inside).not.toContain('vitest');
});
