// The demo as a newcomer runs it: what it prints, how it ends, and whether its block of commands does what it says.
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { titles } from '../../scripts/demo-steps.ts';
import { startDockerEngine } from '../support/dockerd.ts';
import { startProcess, type ServerProcess } from '../support/process.ts';
import { run, tempDir, waitFor, type RunResult } from '../support/tool.ts';

const clone = resolve(import.meta.dirname, '../..');
const tools = join(clone, '.tools/bin');
const program = join(clone, 'scripts/demo.ts');
const home = await tempDir();
afterAll(() => home.remove());

/** A newcomer's environment, without an engine of this machine. */
const newcomer = { HOME: home.path, PATH: '/usr/bin:/bin', DOCKER_HOST: 'unix:///nowhere', NO_COLOR: '' };

const demo = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<RunResult> => {
  return run(process.execPath, [program, ...args], { env: { ...newcomer, ...env }, timeout: 120_000 });
};

/** The block of commands, once the demo has printed it. */
async function blockOf(running: ServerProcess): Promise<string> {
  const find = (): string | undefined => /^-{80}\n(.*)^-{80}\n/ms.exec(running.log())?.[1];
  return waitFor(() => find() ?? !running.running(), { what: 'the block', timeout: 120_000 }).then((block) => {
    return typeof block === 'string' ? block : expect.fail(running.log());
  });
}

/** Starts the demo without `--once`, runs its block as a person would paste it, and ends it as Ctrl-C does. */
async function pasteBlock(
  env: Readonly<Record<string, string>>,
): Promise<{ block: string; printed: string; end: unknown }> {
  const environment = { ...process.env, ...newcomer, ...env };
  const running = startProcess(process.execPath, [program], { env: environment });
  try {
    const block = await blockOf(running);
    // Elsewhere than in the clone: the block goes there by itself.
    const { stdout, stderr } = await run('bash', ['-c', `exec 2>&1\n${block}`], { env: environment, cwd: home.path });
    return { block, printed: stdout + stderr, end: await running.stop('SIGINT') };
  } finally {
    await running.stop('SIGKILL');
  }
}

/** What a line of the report is on a terminal, with the environment that `env` makes. */
function onTerminal(env: string): Promise<RunResult> {
  const report = join(clone, 'scripts/demo-report.ts');
  const show = `${process.execPath} -e "import('${report}').then((report) => report.shown('yes'))"`;
  return run('script', ['--quiet', '--return', '--command', `${env} TERM=xterm-256color ${show}`, '/dev/null']);
}

describe('the demo', () => {
  it('announces its steps, ticks off what it has shown, ends by itself with --once, and leaves nothing behind', async () => {
    const scratch = await tempDir();
    const { code, stdout, stderr } = await demo(['--once'], { TMPDIR: scratch.path });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(await readdir(scratch.path)).toEqual([]);
    await scratch.remove();
    const [announced = '', shown = ''] = stdout.split('What runs now');
    for (const [index, title] of titles.entries()) {
      expect(announced).toContain(`  ${index + 1}. ${title}\n`);
      expect(shown).toMatch(new RegExp(`^${index + 1}\\. ${title}\n(   .*\n)*   ✓ `, 'm'));
    }
    expect(stdout).toMatch(/status page +http:\/\/127\.0\.0\.1:\d+\/\n/);
    expect(stdout).not.toContain('\u001B[');
  });

  it('stops in order and leaves nothing behind when it is interrupted, more than once for one Ctrl-C', async () => {
    const scratch = await tempDir();
    const server = startProcess(process.execPath, [program], { env: { ...process.env, TMPDIR: scratch.path } });
    const inTheMiddle = (): boolean => server.log().includes(`\n2. ${titles[1]}`);
    await waitFor(inTheMiddle, { what: 'the demo to be in the middle', timeout: 30_000 });
    process.kill(server.pid, 'SIGINT');
    expect(await server.stop('SIGINT')).toBe(0);
    expect(await readdir(scratch.path)).toEqual([]);
    await scratch.remove();
  });

  it('fails with one clear line', async () => {
    const { code, stderr } = await demo(['--once'], { TMPDIR: '/no/such/directory' });
    expect(stderr).toMatch(/^\n {3}✗ The demo failed: ENOENT.*\n$/);
    expect(code).toBe(1);
  });

  it('says how it is called, and starts nothing for what it does not know', async () => {
    expect(await demo(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('--once'), stderr: '' });
    const wrong = await demo(['--onse']);
    expect(wrong).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining("Unknown option '--onse'") });
  });

  it('has colours on terminals, and none where NO_COLOR is set', async () => {
    const unset = 'env -u NO_COLOR -u FORCE_COLOR -u NODE_DISABLE_COLORS -u CI TERM=xterm-256color';
    expect((await onTerminal(unset)).stdout).toContain('\u001B[32m✓\u001B[39m yes');
    expect((await onTerminal(`${unset} NO_COLOR=1`)).stdout).toContain('   ✓ yes');
  });
});

const refusal = /unsupported: this registry is a read-only copy; push to 127\.0\.0\.1:\d+ instead/;

describe('the block of commands that the demo ends with', () => {
  it('works as it stands with the skopeo of the set-up', async () => {
    const { block, printed, end } = await pasteBlock({});
    expect(block).toContain('skopeo copy');
    expect(printed).toMatch(/127\.0\.0\.1:\d+\/demo\/hello sha256:\w{64}\n/);
    expect(printed).toMatch(refusal);
    expect(printed).toMatch(/^GEO_PRIMARY_URL=http/m);
    expect(printed).toMatch(/^ok +primary /m);
    expect(printed).not.toMatch(/^failed /m);
    expect(block).toMatch(/status page.*http:\/\/127\.0\.0\.1:\d+\/\n/);
    expect(end).toBe(0);
  });

  it('runs the image with Docker where an engine answers', async () => {
    const engine = await startDockerEngine();
    try {
      const env = { ...engine.home.env, DOCKER_HOST: engine.host, PATH: `${tools}:/usr/bin:/bin` };
      const { block, printed, end } = await pasteBlock(env);
      expect(block).toContain('docker run');
      expect(printed).toContain('Hello again: the tag was pushed a second time.\n');
      expect(printed).toContain('Hello from version 2.0, pushed a moment ago.\n');
      expect(printed).toMatch(refusal);
      expect(printed).not.toMatch(/^failed /m);
      expect(end).toBe(0);
    } finally {
      await engine.close();
    }
  });
});
