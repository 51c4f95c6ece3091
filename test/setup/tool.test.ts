import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startProcess } from '../support/process.ts';
import { freePort, run, runOrThrow, tempDir, toolPath, waitFor } from '../support/tool.ts';

describe('toolPath', () => {
  it.each([
    ['docker-registry', ['--version'], /2\.8\.2/],
    ['skopeo', ['--version'], /^skopeo version/],
    ['openssl', ['version'], /^OpenSSL/],
    ['busybox', ['echo', 'busybox'], /^busybox/],
    ['nginx', ['-v'], /nginx version/],
    ['dockerd', ['--version'], /^Docker version/],
    ['docker', ['--version'], /^Docker version/],
    ['containerd', ['--version'], /^containerd/],
    ['ctr', ['--version'], /^ctr/],
    ['podman', ['--version'], /^podman version/],
    ['buildah', ['--version'], /^buildah version/],
  ])('finds a %s that runs', async (name, args, printed) => {
    const { code, stdout, stderr } = await run(toolPath(name), args);
    expect(stdout + stderr).toMatch(printed);
    expect(code).toBe(0);
  });

  it('names the set-up when there is no such tool', () => {
    expect(() => toolPath('no-such-tool')).toThrow('no-such-tool is not on this machine: npm run setup fetches it');
  });
});

describe('run', () => {
  it('hands over input, environment and directory', async () => {
    const options = { input: 'words', env: { WORD: 'value' }, cwd: '/usr' };
    const { code, stdout } = await run('sh', ['-c', 'cat; echo " $WORD $PWD"; exit 3'], options);
    expect({ code, stdout }).toEqual({ code: 3, stdout: 'words value /usr\n' });
  });

  it('kills a command that takes too long', async () => {
    await expect(run('sleep', ['60'], { timeout: 50 })).rejects.toThrow('sleep 60 was killed');
  });

  it('fails with what was printed when that is asked for', async () => {
    await expect(runOrThrow('sh', ['-c', 'echo why >&2; exit 2'])).rejects.toThrow('ended with 2: why');
  });
});

describe('waitFor', () => {
  it('gives the first truthy value', async () => {
    const values = [0, undefined, 'there'];
    expect(await waitFor(() => values.shift(), { what: 'a value' })).toBe('there');
  });

  it('says what it waited for, and why it did not come', async () => {
    const waiting = waitFor(() => Promise.reject(new Error('not yet')), { what: 'the moon', timeout: 30 });
    await expect(waiting).rejects.toThrow(/^waited \d+ ms in vain for the moon$/);
    await expect(waiting).rejects.toHaveProperty('cause.message', 'not yet');
  });
});

describe('freePort', () => {
  it('gives a port that can be listened on, out of the way of outgoing connections', async () => {
    const port = await freePort();
    expect(port).toBeLessThan(32_768);
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    await once(server.close(), 'close');
  });
});

describe('tempDir', () => {
  it('is removed with all in it', async () => {
    const dir = await tempDir();
    await writeFile(join(dir.path, 'file'), 'content');
    await dir.remove();
    expect(existsSync(dir.path)).toBe(false);
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('startProcess', () => {
  it('shows what the process prints and how it ends', async () => {
    const server = startProcess('sh', ['-c', 'echo out; echo err >&2; exit 4']);
    expect(await server.ended).toBe(4);
    await waitFor(() => server.log().includes('out') && server.log().includes('err'), { what: 'both streams' });
    expect(server.running()).toBe(false);
  });

  it('ends the process with the given signal', async () => {
    const server = startProcess('sleep', ['60']);
    expect(await server.stop('SIGINT')).toBe('SIGINT');
  });

  it('leaves no process behind when its own process is killed', async () => {
    const module = join(import.meta.dirname, '../support/process.ts');
    const program = `import { startProcess } from ${JSON.stringify(module)};
      console.log(startProcess('sleep', ['60']).pid);`;
    const parent = startProcess(process.execPath, ['--input-type=module', '--eval', program]);
    const pid = Number(await waitFor(() => parent.log().match(/^\d+$/m)?.[0], { what: 'the child to start' }));
    expect(isAlive(pid)).toBe(true);
    await parent.stop('SIGKILL');
    await waitFor(() => !isAlive(pid), { what: 'the child to end' });
  });
});
