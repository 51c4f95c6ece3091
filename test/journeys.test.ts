// The guide for newcomers tells the truth: the files and functions that docs/architecture.md and docs/design name are
// there, and the files of each journey lead from one to the next.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const src = join(root, 'src');
const guide = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
const designs = readdirSync(join(root, 'docs/design')).map((name) => join('docs/design', name));

const textOf = (file: string): string => readFileSync(join(src, file), 'utf8');

/** The files that one imports for their values: what is erased before it runs connects nothing. */
function importsOf(file: string): string[] {
  const text = textOf(file);
  const statements = text.matchAll(
    /^(?:import|export) (?!type )(?:[^'();]*? from )?'(\.[^']+)'|import\('(\.[^']+)'\)/gm,
  );
  const named = [...statements]
    .filter(([statement]) => !/\{(?:\s*type \w+,?)+\s*\}/.test(statement))
    .map(([, fixed, late]) => (fixed ?? late)!);
  // A thread's program is started by its URL.
  const started = text.includes('threadFile') && file !== THREAD ? ['./sqlite/worker.ts'] : [];
  return [...named, ...started].map((target) => relative(src, resolve(dirname(join(src, file)), target)));
}

const THREAD = 'replication/store/sqlite/thread-file.ts';

// What only puts parts together: it may connect any file of a journey to those before it.
const COMPOSITION = [
  'main.ts',
  ...readdirSync(join(src, 'main')).map((name) => `main/${name}`),
  'app.ts',
  'registry/connect.ts',
  'registry/registry.ts',
  'replication/replication.ts',
];
const composed = new Set(COMPOSITION.flatMap(importsOf));

interface Journey {
  readonly name: string;
  readonly own: number;
  readonly all: number;
  readonly files: readonly string[];
  /** The rows of the table that it uses. */
  readonly uses: readonly string[];
}

/** The rows of the table of journeys. */
function journeysIn(text: string): Journey[] {
  const rows = text.matchAll(/^\| (?:\d\. |\*)?([\w ]+?)\*? \| (\d+) \| (\d+) \| (`.*) \|$/gm);
  return [...rows].map(([, name, own, all, cell = '']) => ({
    name: name!,
    own: Number(own),
    all: Number(all),
    files: [...cell.matchAll(/`([^`]+)`/g)].map(([, file]) => file!),
    uses: [...cell.matchAll(/\*([^*]+)\*/g)].map(([, used]) => used!),
  }));
}

const journeys = journeysIn(guide);

function allFilesOf({ files, uses }: Journey): string[] {
  const used = uses.map((name) => journeys.find((journey) => journey.name === name)!);
  return [...new Set([...files, ...used.flatMap(allFilesOf)])];
}

test('the guide is short enough to be read, and has the four journeys', () => {
  expect(guide.split('\n').length - 1).toBeLessThanOrEqual(200);
  expect(journeys.map(({ name }) => name)).toEqual([
    'a request',
    'a row',
    'a fill',
    'pull by tag',
    'cold blob',
    'event to synced row',
    'removal',
  ]);
});

test.each(journeys)('$name: its files are there, and as many as the table says', (journey) => {
  expect(journey.files.filter((file) => !existsSync(join(src, file)))).toEqual([]);
  expect({ own: new Set(journey.files).size, all: allFilesOf(journey).length }).toEqual({
    own: journey.own,
    all: journey.all,
  });
});

test.each(journeys)('$name: each file is imported by one before it, or by what puts the parts together', (journey) => {
  const before = new Set(journey.uses.flatMap((name) => allFilesOf(journeys.find((used) => used.name === name)!)));
  const unconnected: string[] = [];
  for (const file of journey.files) {
    const isConnected = composed.has(file) || [...before].some((earlier) => importsOf(earlier).includes(file));
    if (!isConnected && file !== journey.files[0]) unconnected.push(file);
    before.add(file);
  }
  expect(unconnected).toEqual([]);
});

test.each(['docs/architecture.md', ...designs])('%s names files and functions that are there', (document) => {
  const text = readFileSync(join(root, document), 'utf8');
  const named = [...text.matchAll(/`((?:[\w-]+\/)*[\w-]+\.ts)`/g)].map(([, file]) => file!);
  const isThere = (file: string): boolean =>
    [src, root, join(root, 'web')].some((folder) => existsSync(join(folder, file)));
  expect(named.filter((file) => !isThere(file))).toEqual([]);
  const functions = [...text.matchAll(/`((?:[\w-]+\/)*[\w-]+\.ts)`\s\(((?:`#?\w+`(?:, |; )?)+)/g)].flatMap(
    ([, file, names]) => [...names!.matchAll(/`(#?\w+)`/g)].map(([, name]) => ({ file: file!, name: name! })),
  );
  const missing = functions.filter(({ file, name }) => !new RegExp(`(?<!\\w)${name}\\b`).test(textOf(file)));
  expect(missing).toEqual([]);
});
