// What is shipped: the program in one file, and the package of npm, each where nothing else of the project is.
import { cp, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildBundle } from '../../scripts/build-bundle.mjs';
import { buildExecutable } from '../../scripts/build-executable.mjs';
import { image } from '../support/image.ts';
import { startProcess, type ServerProcess } from '../support/process.ts';
import { pushImage } from '../support/push.ts';
import { startSites, type Sites } from '../support/sites.ts';
import { run as runTool, runOrThrow, tempDir, waitFor, type TempDir } from '../support/tool.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };

let scratch: TempDir;
let alone: string;
let executable: string;
beforeAll(async () => {
  scratch = await tempDir();
  const text = await buildBundle(join(scratch.path, 'built'));
  executable = join(scratch.path, 'executable');
  buildExecutable(text, executable);
  // Without its source map, and without node_modules above it.
  alone = join(scratch.path, 'alone.mjs');
  await cp(join(scratch.path, 'built/geo-registry-proxy.mjs'), alone);
});
afterAll(() => scratch.remove());

const program = (...args: string[]) => runTool(process.execPath, [alone, ...args], { cwd: scratch.path });

test('the bundle is the program: version, help, man page, and errors in a line', async () => {
  expect((await program('version')).stdout).toBe(`${version}\n`);
  expect((await program('--help')).stdout).toContain('GEO_PRIMARY_URL');
  expect((await program('man')).stdout).toContain('.SH OPTIONS');
  const { code, stderr } = await program('nonsense');
  expect(code).toBe(2);
  expect(stderr).toMatch(/^geo-registry-proxy: unknown command 'nonsense'/);
});

test('the executable is the program, with Node inside and without another process', async () => {
  expect(await runTool(executable, ['version'], { cwd: scratch.path, env: {} })).toEqual({
    code: 0,
    stdout: `${version}\n`,
    stderr: '',
  });
});

test('with its source map beside it, stack traces name the sources', async () => {
  const trace = `process.stdout.write = () => { process.stderr.write(new Error('here').stack); return true; };`;
  const args = ['--enable-source-maps', '--import', `data:text/javascript,${encodeURIComponent(trace)}`];
  const built = join(scratch.path, 'built/geo-registry-proxy.mjs');
  const { stderr } = await runTool(process.execPath, [...args, built, 'version'], { cwd: scratch.path });
  expect(stderr).toMatch(/src\/cli\.ts:\d+:\d+/);
});

test('the licences of what is inside are beside it', async () => {
  const text = await readFile(join(scratch.path, 'built/geo-registry-proxy.licences.txt'), 'utf8');
  for (const name of ['fastify', 'undici', 'jose', 'pino', 'commander']) expect(text).toContain(`\n${name} `);
});

interface Listening {
  readonly url: string;
  readonly adminUrl: string;
}

function listeningIn(log: string): Listening | undefined {
  const line = log.split('\n').find((text) => text.includes('"msg":"listening"'));
  return line === undefined ? undefined : (JSON.parse(line) as Listening);
}

test.each(['bundle', 'executable'] as const)(
  'the %s serves pulls, the page and the database by itself',
  async (form) => {
    const sites: Sites = await startSites();
    let server: ServerProcess | undefined;
    try {
      const pushed = image('bundled');
      await pushImage(sites.primaryTarget('group/app'), 'v1', pushed);
      const env = { PATH: process.env['PATH'], ...sites.env(), GEO_REPLICATION: 'on', GEO_LOG_LEVEL: 'info' };
      const [command, ...args] = form === 'bundle' ? [process.execPath, alone] : [executable];
      server = startProcess(command!, [...args, 'serve'], { env });
      const { log } = server;
      const { url, adminUrl } = await waitFor(() => listeningIn(log()), { what: 'it to listen' });
      const headers = { authorization: `Bearer ${sites.pullToken('group/app')}`, accept: pushed.mediaType };
      const answer = await fetch(`${url}/v2/group/app/manifests/v1`, { headers });
      expect(answer.headers.get('docker-content-digest')).toBe(pushed.digest);
      expect(await (await fetch(`${adminUrl}/`)).text()).toContain('<script');
      const isSynced = async (): Promise<boolean> => {
        const { replication } = (await (await fetch(`${adminUrl}/api/status`)).json()) as {
          replication: { tags: { synced: number } };
        };
        return replication.tags.synced > 0;
      };
      await waitFor(isSynced, { what: 'the image to be replicated' });
    } finally {
      await server?.stop();
      await sites.close();
    }
  },
);

test('npm pack holds the bundle, no sources and no tests, and what it holds runs without any library', async () => {
  const work = join(scratch.path, 'checkout');
  for (const name of [
    'package.json',
    'bin',
    'deploy',
    'docs',
    'nginx',
    'CHANGELOG.md',
    'README.md',
    'LICENSE',
    'src',
    'web',
    'scripts',
  ])
    await cp(join(root, name), join(work, name), { recursive: true });
  for (const name of ['node_modules', 'package-lock.json', 'tsconfig.json'])
    await symlink(join(root, name), join(work, name));
  const packed = JSON.parse(await runOrThrow('npm', ['pack', '--json', '--silent'], { cwd: work })) as unknown;
  const [{ filename, files }] = Object.values(packed as object) as [{ filename: string; files: { path: string }[] }];
  const names = files.map(({ path }) => path);
  expect(names.filter((name) => /^(?:src|test|scripts|web|node_modules)\//.test(name))).toEqual([]);
  expect(names).toEqual(
    expect.arrayContaining(['bin/geo-registry-proxy.cjs', 'dist/geo-registry-proxy.mjs', 'LICENSE']),
  );
  await runOrThrow('tar', ['-xzf', join(work, filename), '-C', scratch.path]);
  const entry = join(scratch.path, 'package/bin/geo-registry-proxy.cjs');
  expect((await runTool(process.execPath, [entry, '--version'], { cwd: scratch.path })).stdout).toBe(`${version}\n`);
});
