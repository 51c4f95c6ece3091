import { scaled } from '../support/patience.ts';
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../config/environment.ts';
import { run } from './process.ts';

async function output(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

async function declared(): Promise<string[]> {
  return [...(await output('--help')).matchAll(/^ {2}([a-z][\w-]*)(?:\|[\w-]+)?(?: \[options\]| <\w+>)? {2,}/gm)].map(
    ([, name]) => name!,
  );
}

test('completion in bash gives commands, options of a command, words of an argument, and files', async () => {
  const script = join(temporaryDirectory(), 'completion');
  writeFileSync(script, await output('completion', 'bash'));
  const complete = (...words: string[]): string[] => {
    const line = ['geo-registry-proxy', ...words].map((word) => `'${word}'`).join(' ');
    const program = `source ${script}; COMP_WORDS=(${line}); COMP_CWORD=${words.length}; _geo_registry_proxy; echo "\${COMPREPLY[*]}"`;
    return execFileSync('bash', ['--norc', '-c', program], { encoding: 'utf8' }).trim().split(' ');
  };
  expect(complete('')).toEqual(expect.arrayContaining(await declared()));
  expect(complete('repo')).toEqual(['repositories']);
  expect(complete('status', '--w')).toEqual(['--watch']);
  expect(complete('--no-color', 'resync', '--repo')).toEqual(['--repository']);
  expect(complete('completion', 'f')).toEqual(['fish']);
  expect(complete('config', '--env-file', script.slice(0, -3))).toEqual([script]);
  expect(complete('init', '--key', script.slice(0, -3))).toEqual([script]);
});

test.each(['zsh', 'fish'])('completion in %s has every command', async (shell) => {
  const script = await output('completion', shell);
  for (const name of await declared()) expect(script).toMatch(new RegExp(`\\b${name}\\b`));
  expect(script).toContain(shell === 'zsh' ? "'--watch:" : '-l watch ');
  // fish 3.6 reads no script from a socket, which is what Node makes a child's input.
  const file = join(temporaryDirectory(), 'completion');
  writeFileSync(file, script);
  const parsed = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
  // Where that shell is installed.
  if (!parsed.error) expect({ status: parsed.status, stderr: parsed.stderr }).toEqual({ status: 0, stderr: '' });
});

// Not part of the set-up: a machine without the shell skips its test.
const missing = (shell: string): boolean => spawnSync(shell, ['--version']).error !== undefined;

test.skipIf(missing('fish'))('fish completes commands, options of a command, words, and files', async () => {
  const home = temporaryDirectory();
  const script = join(home, 'completion.fish');
  writeFileSync(script, await output('completion', 'fish'));
  const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home };
  const complete = (line: string): string[] => {
    const program = `source ${script}; complete -C ${JSON.stringify(`geo-registry-proxy ${line}`)}`;
    const found = execFileSync('fish', ['--no-config', '-c', program], {
      encoding: 'utf8',
      env,
      cwd: home,
      timeout: scaled(20_000),
    });
    return found.split('\n').flatMap((text) => text.split('\t')[0] || []);
  };
  expect(complete('')).toEqual(expect.arrayContaining(await declared()));
  expect(complete('repo')).toEqual(['repositories']);
  expect(complete('status --wat')).toEqual(['--watch']);
  expect(complete('--no-color resync --repos')).toEqual(['--repository']);
  expect(complete('completion f')).toEqual(['fish']);
  expect(complete('config --env-file comp')).toEqual(['completion.fish']);
});

test('completion of another shell is wrong usage', async () => {
  expect((await run(['completion', 'csh'])).code).toBe(2);
});

test('man prints a page with every command, option and variable, which man takes without a warning', async () => {
  const page = await output('man');
  const text = page.replaceAll('\\-', '-');
  expect(text).toMatch(/^\.TH "GEO-REGISTRY-PROXY" 8 /);
  const names = await declared();
  expect(names).toEqual(expect.arrayContaining(['serve', 'status', 'man', 'completion']));
  for (const name of names) expect(text).toMatch(new RegExp(`^\\.SS "${name}[ "]`, 'm'));
  for (const part of ['"--watch"', 'Exit codes:', '"GEO_PRIMARY_URL"', '(default: 5m)']) expect(text).toContain(part);
  const formatted = spawnSync('man', ['--warnings', '-l', '-'], {
    input: page,
    encoding: 'utf8',
    env: { ...process.env, MANPAGER: 'cat', LC_ALL: 'C.UTF-8' },
  });
  if (!formatted.error)
    expect({ status: formatted.status, stderr: formatted.stderr }).toEqual({ status: 0, stderr: '' });
});
