import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../config/environment.ts';
import { entry, start } from './process.ts';

// The entry reads its Node's version from process.versions alone, so another value there is another Node to it.
function runAs(version: string, file = entry): ReturnType<typeof start>['ended'] {
  const preload = join(temporaryDirectory(), 'version.cjs');
  const versions = `{ ...process.versions, node: '${version}' }`;
  writeFileSync(preload, `Object.defineProperty(process, 'versions', { value: ${versions} });`);
  return start(['--require', preload, file, '--version']).ended;
}

test.each(['0.10.48', '8.17.0', '18.19.0', '20.20.2', '23.11.1'])('Node %s is told in one line', async (version) => {
  expect(await runAs(version)).toEqual({
    code: 1,
    stdout: '',
    stderr: `geo-registry-proxy needs Node.js 24 or newer; this is ${version}\n`,
  });
});

test.each(['24.0.0', '26.10.0', '100.0.0'])('Node %s is accepted', async (version) => {
  expect(await runAs(version)).toMatchObject({ code: 0, stderr: '' });
});

// What stands for the program's two forms tells which of them ran.
function installed(below: string, files: readonly string[]): string {
  const root = join(temporaryDirectory(), below);
  for (const directory of ['bin', 'src', 'dist']) mkdirSync(join(root, directory), { recursive: true });
  cpSync(entry, join(root, 'bin', 'entry.cjs'));
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
  for (const file of files) {
    writeFileSync(join(root, file), `export const runCli = (args) => console.log('${file}', ...args);`);
  }
  return join(root, 'bin', 'entry.cjs');
}

test.each([
  ['a checkout runs its sources', 'checkout', ['src/cli.ts'], 'src/cli.ts'],
  ['a checkout runs its sources, not an old build', 'checkout', ['src/cli.ts', 'dist/cli.js'], 'src/cli.ts'],
  ['an image with a build alone runs the build', 'app', ['dist/cli.js'], 'dist/cli.js'],
  ['below node_modules the build runs', 'node_modules/geo', ['src/cli.ts', 'dist/cli.js'], 'dist/cli.js'],
])('%s', async (_, below, files, ran) => {
  const { stdout } = await start([installed(below, files), 'a', 'b']).ended;
  expect(stdout).toBe(`${ran} a b\n`);
});

interface Started {
  readonly options: readonly string[];
}

/** What the server was started with in the end; `preload` is of ours. */
async function started(
  options: readonly string[],
  { preload = '', command = 'serve', nodeOptions = '' } = {},
): Promise<Started> {
  const root = join(temporaryDirectory(), 'heap');
  mkdirSync(join(root, 'bin'), { recursive: true });
  mkdirSync(join(root, 'src'));
  cpSync(entry, join(root, 'bin', 'entry.cjs'));
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(root, 'preload.cjs'), preload);
  const tell = 'console.log(JSON.stringify({ options: process.execArgv }))';
  writeFileSync(join(root, 'src', 'cli.ts'), `export const runCli = () => ${tell};`);
  const args = ['--require', join(root, 'preload.cjs'), ...options, join(root, 'bin', 'entry.cjs'), command];
  const { stdout, stderr } = await start(args, { NODE_OPTIONS: nodeOptions }).ended;
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Started;
}

const HEAP = [
  '--max-semi-space-size=8',
  '--heap-growing-percent=50',
  '--expose-gc',
  '--no-concurrent-array-buffer-sweeping',
];
const heapOf = ({ options }: Started): string[] => options.filter((option) => !/^--require$|preload/.test(option));

test('the server starts with the heap that it is made for, and what it was given', async () => {
  expect(heapOf(await started(['--stack-trace-limit=7']))).toEqual([...HEAP, '--stack-trace-limit=7']);
});

test.each([
  ['as an option', ['--max_semi_space_size=4'], ''],
  ['in the environment', [], '--max-semi-space-size=4'],
])('a heap that a person chose %s stands', async (_how, options, nodeOptions) => {
  expect(heapOf(await started(options, { nodeOptions }))).toEqual([...HEAP.slice(1), ...options]);
});

test.each([
  ['where Node cannot start anew', { preload: 'delete process.execve;' }],
  ['where that is not allowed', { preload: 'process.permission = { has: () => false };' }],
  ['for a command that asks and ends', { command: 'status' }],
])('%s the heap is Node’s own', async (_where, options) => {
  expect(heapOf(await started([], options))).toEqual([]);
});
