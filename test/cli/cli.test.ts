import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configurationHelp } from '../../src/config/table.ts';
import { environment, temporaryDirectory } from '../config/environment.ts';
import { entry, run, start } from './process.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

test.each([[], ['--help'], ['help']])('help tells of commands and variables: %s', async (...args) => {
  const { code, stdout, stderr } = await run(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain(configurationHelp());
  const replication = ['status', 'pulls', 'repositories', 'backfill|resync', 'retry|resync-failed', 'confirm-removals'];
  const commands = ['serve', ...replication, 'doctor', 'config', 'token'];
  const listed = [...stdout.matchAll(/^ {2}([a-z][\w|-]*) /gm)].map(([, command]) => command);
  expect(listed).toEqual(expect.arrayContaining(commands));
});

test.each([
  ['serve', '--env-file'],
  ['config', '--check'],
  ['token', '--repository'],
  ['status', '--json'],
  ['status', '--watch'],
  ['pulls', '--follow'],
  ['repositories', '--failed'],
  ['backfill', '--repository'],
  ['retry', '--repository'],
  ['confirm-removals', '--yes'],
  ['doctor', '--read-only'],
])('%s --help tells of %s', async (command, option) => {
  const { code, stdout } = await run([command, '--help']);
  expect(code).toBe(0);
  expect(stdout).toContain(option);
  expect(stdout).toContain('--env-file');
});

test.each(['status', 'backfill', 'retry', 'confirm-removals'])('%s --help tells how it ends', async (command) => {
  const { stdout } = await run([command, '--help']);
  expect(stdout).toMatch(/^Exit codes:\n {2}0 +done\n {2}1 +it could not be done\n {2}2 +wrong usage\n/m);
});

test.each([['--version'], ['-v'], ['version']])('%s is that of the package', async (...args) => {
  expect(await run(args)).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

test.each([['--help'], ['--version'], ['status', '--help'], ['backfill', '--help'], ['doctor', '--help']])(
  "%s %s does without the server's libraries",
  async (...args) => {
    const hooks = join(temporaryDirectory(), 'hooks.mjs');
    const resolve = '(name, context, next) => (console.error(name), next(name, context))';
    writeFileSync(hooks, `import { registerHooks } from 'node:module'; registerHooks({ resolve: ${resolve} });`);
    const { stderr } = await start(['--import', hooks, entry, ...args]).ended;
    const resolved = stderr.split('\n');
    expect(resolved).toContain('commander');
    expect(
      resolved.filter((name) =>
        /^(fastify|undici|pino|jose|prom-client|log-update|node:sqlite|@fastify.*|.*\/main\.ts)$/.test(name),
      ),
    ).toEqual([]);
  },
);

test.each([
  [['sevre'], "geo-registry-proxy: unknown command 'sevre'\n(Did you mean serve?)\n"],
  [['config', '--jsno'], "geo-registry-proxy: unknown option '--jsno'\n(Did you mean --json?)\n"],
  [['config', '--json', '--check'], "geo-registry-proxy: option '--check' cannot be used with option '--json'\n"],
  [['serve', 'now'], "geo-registry-proxy: too many arguments for 'serve'. Expected 0 arguments but got 1: now.\n"],
  [['status', 'now'], "geo-registry-proxy: too many arguments for 'status'. Expected 0 arguments but got 1: now.\n"],
  [
    ['retry', '--repository', 'Group'],
    `geo-registry-proxy: option '--repository <glob>' argument 'Group' is invalid. "Group" has upper case, which no repository has; allowed: repository globs in lower case separated by commas, such as group, group/*, group/**/cache or group/project.\n`,
  ],
  [['token'], "geo-registry-proxy: required option '--repository <name>' not specified\n"],
])('wrong usage is told and exits 2: %s', async (args, stderr) => {
  expect(await run(args)).toEqual({ code: 2, stdout: '', stderr });
});

test.each([['config'], ['config', '--check'], ['token', '--repository', 'a/b'], ['status'], ['backfill'], ['doctor']])(
  'a wrong configuration is told line by line and exits 1: %s %s',
  async (...args) => {
    const env = { ...environment(), GEO_TAG_TTL: '5', GEO_STORE: 'yes', GEO_TAG_TLL: '5s' };
    expect(await run(args, env)).toEqual({
      code: 1,
      stdout: '',
      stderr: [
        'geo-registry-proxy: warning: GEO_TAG_TLL: unknown (did you mean GEO_TAG_TTL?), ignored',
        'geo-registry-proxy: GEO_TAG_TTL: "5" is not a duration; allowed: a whole number with ms, s, m or h, such as 500ms, 30s, 5m or 1h, or 0, at most 596h',
        'geo-registry-proxy: GEO_STORE: "yes" is not known; allowed: on or off',
        '',
      ].join('\n'),
    });
  },
);

test.each([
  ['a wrong value', 'GEO_STORE=yes\n'],
  ['a file of variables that cannot be used', 'GEO_EVENTS_TOKEN=half#of-it\n'],
])('serve ends with 78 for %s, and no other command does', async (_, text) => {
  const path = join(temporaryDirectory(), 'geo.env');
  writeFileSync(path, text);
  const env = environment();
  const served = await run(['serve', '--env-file', path], env);
  expect(served).toMatchObject({ code: 78, stdout: '' });
  expect(await run(['config', '--check', '--env-file', path], env)).toEqual({ ...served, code: 1 });
});

test('serve --help tells of 78', async () => {
  const { stdout } = await run(['serve', '--help']);
  expect(stdout).toMatch(/^ {2}78 +the configuration is refused/m);
});

test('config --check says that a right configuration is ok', async () => {
  expect(await run(['config', '--check'], environment())).toEqual({
    code: 0,
    stdout: 'configuration is ok\n',
    stderr: '',
  });
});

test('config prints each value and where it comes from, without secrets', async () => {
  const { code, stdout } = await run(['config'], {
    ...environment(),
    GEO_ADMIN_TOKEN: 's3cret-token',
    GEO_TAG_TTL: '1m',
  });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^GEO_TAG_TTL +1m +environment$/m);
  expect(stdout).toMatch(/^GEO_SPOOL_MAX +20GiB +default$/m);
  expect(stdout).toMatch(/^GEO_CA_FILE +- +default$/m);
  expect(stdout).toMatch(/^GEO_ADMIN_TOKEN +\(secret\) +environment$/m);
  expect(stdout).not.toContain('s3cret-token');
});

test('config tells the file and line, or the file of a secret, that a value came from', async () => {
  const directory = temporaryDirectory();
  const [path, secret] = [join(directory, 'geo.env'), join(directory, 'token')];
  writeFileSync(secret, 's3cret-token\n');
  writeFileSync(path, '# a\nGEO_TAG_TTL=1m\n\nGEO_EVENTS_TOKEN="12345678"\nGEO_TAG_TTL=2m\nGEO_SPOOL_MAX=1GiB\n');
  const env = { ...environment(), GEO_SPOOL_MAX: '2GiB', GEO_ADMIN_TOKEN_FILE: secret };
  const { stdout } = await run(['config', '--env-file', path], env);
  // The last one of a name is the one that is read.
  expect(stdout).toMatch(new RegExp(`^GEO_TAG_TTL +2m +${path}:5$`, 'm'));
  expect(stdout).toMatch(new RegExp(`^GEO_EVENTS_TOKEN +\\(secret\\) +${path}:4$`, 'm'));
  expect(stdout).toMatch(/^GEO_SPOOL_MAX +2GiB +environment$/m);
  expect(stdout).toMatch(
    new RegExp(`^GEO_ADMIN_TOKEN +\\(secret\\) +${secret} \\(GEO_ADMIN_TOKEN_FILE, environment\\)$`, 'm'),
  );
});

test('config --json prints an object of texts', async () => {
  const env = environment();
  const { stdout } = await run(['config', '--json'], { ...env, GEO_ADMIN_TOKEN: 's3cret-token' });
  expect(JSON.parse(stdout)).toMatchObject({
    ...env,
    GEO_LISTEN: '127.0.0.1:5080',
    GEO_ADMIN_TOKEN: '(secret)',
    GEO_CA_FILE: null,
  });
});

test('config tells its warnings on standard error', async () => {
  const { code, stdout, stderr } = await run(['config', '--check'], { ...environment(), GEO_CLIENT_AUTH: 'none' });
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'configuration is ok\n' });
  expect(stderr).toMatch(/^geo-registry-proxy: warning: GEO_CLIENT_AUTH: none: .*\n$/);
});

test.each([
  ['before', (path: string) => ['--env-file', path, 'config', '--json']],
  ['after', (path: string) => ['config', '--json', '--env-file', path]],
])('--env-file is read, %s the command, and the environment wins', async (_, args) => {
  const path = join(temporaryDirectory(), 'geo.env');
  const { GEO_TOKEN_REALM, ...env } = environment();
  writeFileSync(path, `# the site\nGEO_TOKEN_REALM="${GEO_TOKEN_REALM}"\nGEO_TAG_TTL=1m\nGEO_SPOOL_MAX=1GiB\n`);
  const { stdout } = await run(args(path), { ...env, GEO_SPOOL_MAX: '2GiB' });
  expect(JSON.parse(stdout)).toMatchObject({ GEO_TOKEN_REALM, GEO_TAG_TTL: '1m', GEO_SPOOL_MAX: '2GiB' });
});

test('an --env-file that begins with a byte order mark loses nothing', async () => {
  const path = join(temporaryDirectory(), 'geo.env');
  writeFileSync(path, '\uFEFFGEO_TAG_TTL=1m\r\nGEO_SPOOL_MAX=1GiB\r\n');
  const { stdout } = await run(['config', '--json', '--env-file', path], environment());
  expect(JSON.parse(stdout)).toMatchObject({ GEO_TAG_TTL: '1m', GEO_SPOOL_MAX: '1GiB' });
});

test.each([
  ['in the value', 'GEO_EVENTS_TOKEN=half#of-it', 1],
  ['after the value', "# one\nGEO_TAG_TTL='1m' # fine\n export GEO_EVENTS_TOKEN = secret-1 # of the site", 3],
  ['after a quoted value of two lines', 'A="GEO_B=1#2\n#"\nGEO_EVENTS_TOKEN=a#b', 3],
  ['after a quote that does not end', "GEO_EVENTS_TOKEN='half#of-it", 1],
])('an --env-file with a # %s, where the value would end, is refused', async (_, text, line) => {
  const path = join(temporaryDirectory(), 'geo.env');
  writeFileSync(path, text);
  expect(await run(['config', '--env-file', path], environment())).toEqual({
    code: 1,
    stdout: '',
    stderr: `geo-registry-proxy: --env-file: ${JSON.stringify(path)}, line ${line}: GEO_EVENTS_TOKEN has a # outside of quotes, where its value would end: put the value in quotes, or a comment on a line of its own\n`,
  });
});

test('an --env-file may have a # in quotes, and in comments', async () => {
  const path = join(temporaryDirectory(), 'geo.env');
  writeFileSync(path, '# GEO_TAG_TTL=2m # no\nGEO_TOKEN_ISSUER="a#b # c"\n');
  const { stdout } = await run(['config', '--json', '--env-file', path], environment());
  expect(JSON.parse(stdout)).toMatchObject({ GEO_TOKEN_ISSUER: 'a#b # c', GEO_TAG_TTL: '0s' });
});

test('an --env-file that cannot be read is told in a line', async () => {
  expect(await run(['config', '--env-file', '/nowhere/geo.env'], environment())).toEqual({
    code: 1,
    stdout: '',
    stderr:
      'geo-registry-proxy: --env-file: "/nowhere/geo.env" cannot be read: ENOENT: no such file or directory, open \'/nowhere/geo.env\'\n',
  });
});
