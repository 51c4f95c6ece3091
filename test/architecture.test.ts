// The arrows between the rooms of src, and no others, all of them downwards (docs/architecture.md).
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const src = resolve(import.meta.dirname, '../src');

const arrows: Record<string, readonly string[]> = {
  main: ['app', 'auth', 'cli', 'config', 'doctor', 'fill', 'lib', 'oci', 'proxy', 'registry', 'replication', 'status'],
  // `serve` starts the composition root; `token` mints.
  cli: ['auth', 'config', 'doctor', 'init', 'main', 'oci', 'replication', 'status'],
  // Asks both registries as the proxy does, and reads its rows.
  doctor: ['auth', 'config', 'oci', 'registry', 'replication'],
  // Looks at registries with the parts of the doctor.
  init: ['auth', 'config', 'doctor', 'oci', 'registry'],
  app: ['oci', 'proxy', 'replication', 'status'],
  // A hit, a tag's look-up and a list are questions to a registry, not fills.
  proxy: ['auth', 'fill', 'lib', 'oci', 'registry'],
  fill: ['lib', 'oci', 'registry'],
  replication: ['fill', 'lib', 'oci', 'registry'],
  status: ['lib', 'oci', 'registry', 'replication'],
  registry: ['auth', 'lib', 'oci'],
  auth: ['lib', 'oci'],
  config: [],
  lib: [],
  oci: [],
};

/** From top to bottom: no file imports from a room above its own. */
const ORDER = [
  'cli',
  'main',
  'app',
  'proxy',
  'status',
  'init',
  'doctor',
  'replication',
  'fill',
  'registry',
  'auth',
  'oci',
  'lib',
  'config',
];

// Imports that go up all the same. It is to become empty.
const UPWARDS = ['main/doctor-view.ts -> cli/doctor.ts'];

const RIM = /^(?:app\.ts$|proxy\/|status\/|replication\/webhook)/;

function roomOf(file: string): string {
  const [first = ''] = relative(src, file).split('/');
  return first.replace(/\.ts$/, '');
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join(src, name));

function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) => match[1]!);
  return specifiers.map((specifier) => resolve(dirname(file), specifier));
}

test('every file belongs to a room that has its arrows declared', () => {
  expect(files.length).toBeGreaterThan(40);
  expect([...new Set(files.map(roomOf))].filter((room) => !(room in arrows))).toEqual([]);
});

test.each(Object.keys(arrows))('%s imports only the rooms it may', (room) => {
  const wrong = files
    .filter((file) => roomOf(file) === room)
    .flatMap((file) => importsOf(file).map((target) => ({ file, target })))
    .filter(({ target }) => roomOf(target) !== room && !arrows[room]!.includes(roomOf(target)))
    .map(({ file, target }) => `${relative(src, file)} -> ${relative(src, target)}`);
  expect(wrong).toEqual([]);
});

/** What leaves its own room. */
function crossingsOf(file: string): { readonly file: string; readonly target: string }[] {
  return importsOf(file)
    .map((target) => ({ file, target }))
    .filter(({ target }) => roomOf(target) !== roomOf(file));
}

test('no file imports from a room above it', () => {
  expect([...ORDER].sort()).toEqual(Object.keys(arrows).sort());
  const upwards = files
    .flatMap(crossingsOf)
    .filter(({ file, target }) => ORDER.indexOf(roomOf(target)) < ORDER.indexOf(roomOf(file)))
    .map(({ file, target }) => `${relative(src, file)} -> ${relative(src, target)}`);
  expect(upwards).toEqual(UPWARDS);
});

test('every arrow is used', () => {
  const used = new Set(files.flatMap(crossingsOf).map(({ file, target }) => `${roomOf(file)} -> ${roomOf(target)}`));
  const declared = Object.entries(arrows).flatMap(([room, targets]) => targets.map((target) => `${room} -> ${target}`));
  expect(declared.filter((arrow) => !used.has(arrow))).toEqual([]);
});

test('docs/architecture.md draws these arrows', () => {
  const guide = readFileSync(join(src, '../docs/architecture.md'), 'utf8');
  const drawn = [...guide.matchAll(/(?:^|\s{2,})(\w+(?:, \w+)*) +-> ((?:\w+, )*\w+)(?= {2,}|$)/gm)].flatMap(
    ([, from, to]) => from!.split(', ').map((room) => [room, to === 'nothing' ? [] : to!.split(', ').sort()] as const),
  );
  const { main, ...others } = arrows;
  expect(Object.fromEntries(drawn)).toEqual(
    Object.fromEntries(Object.entries(others).map(([room, targets]) => [room, [...targets].sort()])),
  );
  expect(main).toEqual(
    Object.keys(arrows)
      .filter((room) => room !== 'main' && room !== 'init')
      .sort(),
  );
});

test('the page knows of the program the shapes of its answers and how figures are written, and two libraries', () => {
  // Bundled into the page: it has to stay without imports.
  expect(importsOf(join(src, 'status/figures.ts'))).toEqual([]);
  expect(readFileSync(join(src, 'status/figures.ts'), 'utf8')).not.toMatch(/^import /m);
  const web = resolve(src, '../web');
  const sources = readdirSync(web, { recursive: true, encoding: 'utf8' }).filter((name) => /\.tsx?$/.test(name));
  expect(sources.length).toBeGreaterThan(30);
  const wrong = sources.flatMap((name) => {
    const text = readFileSync(join(web, name), 'utf8');
    const imports = [...text.matchAll(/import (type )?(?:[^'();]*? from )?'([^']+)'/g)];
    return imports
      .filter(([, isType, target = '']) => {
        if (!target.startsWith('.')) return !/^(?:preact(?:\/hooks)?|uplot(?:\/dist\/uPlot\.min\.css)?)$/.test(target);
        const file = resolve(dirname(join(web, name)), target);
        if (file.startsWith(`${web}/`)) return false;
        return relative(src, file) !== (isType ? 'status/api.ts' : 'status/figures.ts');
      })
      .map(([, , target]) => `${name} -> ${target}`);
  });
  expect(wrong).toEqual([]);
});

test('the page puts no text in as markup, and makes no code of it', () => {
  const web = resolve(src, '../web');
  const users = readdirSync(web, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .filter((name) =>
      /innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function/i.test(
        readFileSync(join(web, name), 'utf8'),
      ),
    );
  expect(users).toEqual([]);
});

test('auth/mint and auth/keys are the only files that touch the private key', () => {
  const users = files
    .filter((file) => /createPrivateKey|\.signing\b/.test(readFileSync(file, 'utf8')))
    .map((file) => relative(src, file))
    .filter((file) => !file.startsWith('config/'));
  expect(users.sort()).toEqual(['auth/keys.ts', 'auth/mint.ts']);
});

test('Fastify appears only at the rim', () => {
  const users = files.filter((file) => /from '(?:@fastify\/|fastify')/.test(readFileSync(file, 'utf8')));
  expect(users.map((file) => relative(src, file)).filter((file) => !RIM.test(file))).toEqual([]);
});
