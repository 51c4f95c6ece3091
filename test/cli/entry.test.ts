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
  cpSync(join(entry, '../heap.cjs'), join(root, 'bin', 'heap.cjs'));
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
  /** The options that Node was started with in the end, but for what the test needs. */
  readonly options: readonly string[];
  /** What was set then. */
  readonly set: readonly string[];
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
  cpSync(join(entry, '../heap.cjs'), join(root, 'bin', 'heap.cjs'));
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
  const watch = "globalThis.set = []; require('v8').setFlagsFromString = (flag) => void globalThis.set.push(flag);";
  writeFileSync(join(root, 'preload.cjs'), `${watch}${preload}`);
  const tell = 'console.log(JSON.stringify({ options: process.execArgv, set: globalThis.set }))';
  writeFileSync(join(root, 'src', 'cli.ts'), `export const runCli = () => ${tell};`);
  const args = ['--require', join(root, 'preload.cjs'), ...options, join(root, 'bin', 'entry.cjs'), command];
  const { stdout, stderr } = await start(args, { NODE_OPTIONS: nodeOptions }).ended;
  expect(stderr).toBe('');
  const found = JSON.parse(stdout) as Started;
  return { ...found, options: found.options.filter((option) => !/^--require$|preload/.test(option)) };
}

const AT_START = ['--max-semi-space-size=8', '--expose-gc'];
const LATER = ['--heap-growing-percent=50', '--no-concurrent-array-buffer-sweeping'];

test('the server starts with the heap that it is made for, and what it was given', async () => {
  const found = await started(['--stack-trace-limit=7']);
  expect(found).toEqual({ options: [...AT_START, '--stack-trace-limit=7'], set: LATER });
});

test.each([
  ['as an option', ['--max_semi_space_size=4'], ''],
  ['in the environment', [], '--max-semi-space-size=4'],
  ['in the environment, quoted', [], '"--max-semi-space-size=4"'],
])('a young generation that a person chose %s stands', async (_how, options, nodeOptions) => {
  expect(await started(options, { nodeOptions })).toEqual({ options: ['--expose-gc', ...options], set: LATER });
});

test('an old generation that a person chose stands', async () => {
  const options = ['--heap-growing-percent=100', '--concurrent-array-buffer-sweeping'];
  expect(await started(options)).toEqual({ options: [...AT_START, ...options], set: [] });
});

test.each([
  ['where Node cannot start anew', 'delete process.execve;'],
  ['where that fails', "process.execve = () => { throw new Error('no'); };"],
  ['where the program is gone', "process.execPath = '/nonexistent/node';"],
  ['where that is not allowed', 'process.permission = { has: () => false };'],
  ['below a parent that talks to it', 'process.channel = {};'],
])('%s the young generation stays small', async (_where, preload) => {
  expect(await started([], { preload })).toEqual({ options: [], set: [...LATER, '--semi-space-growth-factor=1'] });
});

test('for a command that asks and ends the heap is Node’s own', async () => {
  expect(await started([], { command: 'status' })).toEqual({ options: [], set: [] });
});

// Before `npm install`, and after one that was cut off.
test.each([
  ['a checkout', 'src/cli.ts', "import 'commander';", 'commander', 'npm run setup'],
  ['what is shipped', 'dist/cli.js', "import 'commander';", 'commander', 'npm ci --omit=dev'],
  ['a command of it', 'src/cli.ts', "export const runCli = () => import('log-update');", 'log-update', 'npm run setup'],
  ['a build that is not there', 'dist/other.js', '', 'dist/cli.js', 'npm ci --omit=dev'],
])('%s without its libraries says in one line what to run', async (_, file, text, missing, advice) => {
  const bin = installed('app', []);
  const root = join(bin, '..', '..');
  writeFileSync(join(root, file), text);
  expect(await start([bin, 'status']).ended).toEqual({
    code: 1,
    stdout: '',
    stderr: `geo-registry-proxy: ${missing} is not installed; run ${advice} in ${root}\n`,
  });
});

test('every other error of the start is shown as it is', async () => {
  const bin = installed('app', []);
  writeFileSync(join(bin, '..', '..', 'src/cli.ts'), "throw new Error('of another kind');");
  const { code, stderr } = await start([bin, 'status']).ended;
  expect(code).toBe(1);
  expect(stderr).toContain('Error: of another kind');
});
