// podman and buildah, which share their transport, pull through the proxy and are refused once when they push.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClientHome } from '../support/client-home.ts';
import { createSandboxedHome } from '../support/client-sandbox.ts';
import { alice, isBlobPull, startClientSite, type ClientSite } from '../support/client-site.ts';
import type { RunResult } from '../support/tool.ts';

let site: ClientSite;

const pull = (name: string, ...options: string[]): string[] => ['pull', '--tls-verify=false', ...options, name];

const login = (password: string): string[] => {
  return ['login', '--tls-verify=false', '--username', alice.user, '--password', password, site.registry];
};

beforeAll(async () => {
  site = await startClientSite();
});
afterAll(() => site?.close());

describe.each(['podman', 'buildah'])('%s', (tool) => {
  let home: ClientHome;

  const withStore = (args: readonly string[]): string[] => {
    const places = ['--root', join(home.dir, 'storage'), '--runroot', join(home.dir, 'run-storage')];
    return [...places, '--storage-driver', 'vfs', ...args];
  };
  const client = (...args: string[]): Promise<RunResult> => home.run(tool, ...withStore(args));
  const clientOrThrow = (...args: string[]): Promise<string> => home.runOrThrow(tool, ...withStore(args));

  beforeAll(async () => {
    home = await createSandboxedHome();
    await clientOrThrow(...login(alice.password));
  });
  afterAll(() => home?.remove());

  it('logs in with the user’s password only', async () => {
    expect((await client(...login('looking-glass'))).stderr).toContain('invalid username/password');
    expect(await clientOrThrow(...login(alice.password))).toContain('Login Succeeded!');
  });

  it('pulls a cold image, and a warm one without a byte of a blob over the WAN', async () => {
    const repository = `group/${tool}-pull`;
    const pushed = await site.pushBusybox({ repository, message: `${tool}-pull` });
    const name = `${site.registry}/${repository}:v1`;
    // What both print is the image's id, the digest of its configuration.
    const id = pushed.blobs[0]?.digest.replace('sha256:', '');
    expect(await clientOrThrow(...pull(name))).toBe(`${id}\n`);
    await site.stored(repository, 'v1', pushed.digest);
    await clientOrThrow('rmi', name);
    site.forget();
    expect(await clientOrThrow(...pull(name))).toBe(`${id}\n`);
    expect(site.relay.count(isBlobPull)).toBe(0);
  });

  it('is refused a private image without a login', async () => {
    const repository = `group/${tool}-private`;
    await site.pushBusybox({ repository, message: `${tool}-private` });
    const nobody = join(home.dir, 'nobody.json');
    await writeFile(nobody, '{}');
    const { code, stderr } = await client(...pull(`${site.registry}/${repository}:v1`, '--authfile', nobody));
    expect(code).toBe(125);
    expect(stderr).toContain('denied: requested access to the resource is denied');
  });

  it('is refused a push, with the place to push to', async () => {
    const repository = `group/${tool}-push`;
    await site.pushBusybox({ repository, message: `${tool}-push` });
    const name = `${site.registry}/${repository}:v1`;
    await clientOrThrow(...pull(name));
    const { code, stderr } = await client('push', '--tls-verify=false', name, `docker://${name}`);
    expect(code).toBe(125);
    expect(stderr).toContain(site.refusal);
    expect(stderr).not.toContain('retrying');
  });
});
