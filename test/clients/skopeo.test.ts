// skopeo reads through the proxy byte for byte and is refused when it writes.
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClientHome } from '../support/client-home.ts';
import { createSandboxedHome } from '../support/client-sandbox.ts';
import { alice, isBlobPull, startClientSite, type ClientSite } from '../support/client-site.ts';
import { blob, type Blob, type SmallBlob } from '../support/content.ts';
import { dockerList, dockerManifest, image, index, manifest, type Manifest } from '../support/image.ts';
import { pushImage } from '../support/push.ts';
import type { RunResult } from '../support/tool.ts';

let site: ClientSite;
let home: ClientHome;

const skopeo = (...args: string[]): Promise<RunResult> => home.run('skopeo', ...args);
const skopeoOrThrow = (...args: string[]): Promise<string> => home.runOrThrow('skopeo', ...args);
const inProxy = (name: string): string => `docker://${site.registry}/${name}`;
const login = (password: string): string[] => {
  return ['login', '--tls-verify=false', '--username', alice.user, '--password', password, site.registry];
};
const push = async (name: string, pushed: Manifest): Promise<void> => {
  const [repository = '', tag] = name.split(':');
  await pushImage(site.primaryTarget(repository), tag, pushed);
};
/** Copies from the proxy into a directory of the client's home, and gives that directory. */
const copyOut = async (form: 'dir' | 'oci', name: string, ...options: string[]): Promise<string> => {
  const directory = join(home.dir, form, name.replace(':', '/'));
  await mkdir(directory, { recursive: true });
  await skopeoOrThrow('copy', '--src-tls-verify=false', ...options, inProxy(name), `${form}:${directory}`);
  return directory;
};

const hexOf = ({ digest }: { digest: string }): string => digest.slice(digest.indexOf(':') + 1);

async function expectFile(path: string, { bytes }: { bytes: Buffer }): Promise<void> {
  expect((await readFile(path)).equals(bytes), path).toBe(true);
}

async function expectBlobs(directory: string, blobs: readonly Blob[]): Promise<void> {
  for (const part of blobs as readonly SmallBlob[]) await expectFile(join(directory, hexOf(part)), part);
}

beforeAll(async () => {
  [site, home] = await Promise.all([startClientSite(), createSandboxedHome()]);
  await skopeoOrThrow(...login(alice.password));
});
afterAll(async () => {
  await Promise.all([home?.remove(), site?.close()]);
});

describe('skopeo login', () => {
  it('succeeds with the user’s password', async () => {
    expect(await skopeoOrThrow(...login(alice.password))).toContain('Login Succeeded!');
  });

  it('fails with another', async () => {
    const { code, stderr } = await skopeo(...login('looking-glass'));
    expect(code).toBe(1);
    expect(stderr).toContain('invalid username/password');
  });
});

describe('skopeo inspect', () => {
  it('shows digest, tags and layers of a cold image', async () => {
    const pushed = image('inspect');
    await push('group/inspect:v1', pushed);
    const shown = JSON.parse(await skopeoOrThrow('inspect', '--tls-verify=false', inProxy('group/inspect:v1')));
    const [, ...layers] = pushed.blobs.map(({ digest }) => digest);
    expect(shown).toMatchObject({ Digest: pushed.digest, RepoTags: ['v1'], Layers: layers });
  });

  it('of an image that does not exist says so', async () => {
    const { code, stderr } = await skopeo('inspect', '--tls-verify=false', inProxy('group/inspect:none'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/manifest unknown: no such tag \\?"none\\?" in group\/inspect at /);
  });

  it('of a private image is refused without a login', async () => {
    await push('group/private:v1', image('private'));
    const { code, stderr } = await skopeo('inspect', '--no-creds', '--tls-verify=false', inProxy('group/private:v1'));
    expect(code).toBe(1);
    expect(stderr).toContain('denied: requested access to the resource is denied');
  });
});

describe('skopeo list-tags', () => {
  it('lists the primary’s tags', async () => {
    await push('group/tags:v1', image('tags'));
    await push('group/tags:v2', image('tags'));
    const { Tags: tags } = JSON.parse(await skopeoOrThrow('list-tags', '--tls-verify=false', inProxy('group/tags')));
    expect(tags.toSorted()).toEqual(['v1', 'v2']);
  });

  it('follows the pages of a primary that pages in a way of its own', async () => {
    await push('group/paged:v1', image('paged'));
    for (const [nth, tag] of ['v1', 'v2', 'v3'].entries()) {
      const isPage = ({ path }: { path: string }): boolean =>
        nth === 0 ? path.endsWith('/group/paged/tags/list') : path.endsWith(`/tags/list?nextToken=${nth}%3d`);
      const link = { link: `<https://registry.example.com/tags?nextToken=${nth + 1}%3d>; rel="next"` };
      const headers = { 'content-type': 'application/json', ...(nth < 2 ? link : {}) };
      const body = JSON.stringify({ name: 'group/paged', tags: [tag] });
      site.relay.rules.push({ match: isPage, answer: { status: 200, headers, body } });
    }
    const listed = JSON.parse(await skopeoOrThrow('list-tags', '--tls-verify=false', inProxy('group/paged')));
    expect(listed).toMatchObject({ Tags: ['v1', 'v2', 'v3'] });
  });
});

describe('skopeo copy from the proxy', () => {
  it.each([
    ['an OCI image', 'group/oci-image:v1', manifest],
    ['a Docker image', 'group/docker-image:v1', dockerManifest],
  ])('to a directory gives %s byte for byte, cold and warm', async (_, name, build) => {
    const pushed = build({ layers: [blob(300_000, name), blob(10, name)] });
    await push(name, pushed);
    for (const state of ['cold', 'warm']) {
      const directory = await copyOut('dir', name);
      await expectFile(join(directory, 'manifest.json'), pushed);
      await expectBlobs(directory, pushed.blobs);
      if (state === 'warm') expect(site.relay.count(isBlobPull)).toBe(0);
      const [repository = '', tag = ''] = name.split(':');
      await site.stored(repository, tag, pushed.digest);
      site.forget();
    }
  });

  it('to an OCI layout keeps the digest', async () => {
    // With layers that are compressed in truth: others skopeo compresses on the way.
    const pushed = await site.pushBusybox({ repository: 'group/layout', message: 'layout' });
    const directory = await copyOut('oci', 'group/layout:v1');
    const { manifests } = JSON.parse(await readFile(join(directory, 'index.json'), 'utf8'));
    expect(manifests).toMatchObject([{ digest: pushed.digest }]);
    await expectFile(join(directory, 'blobs/sha256', hexOf(pushed)), pushed);
    await expectBlobs(join(directory, 'blobs/sha256'), pushed.blobs);
  });

  it.each([
    ['an OCI index', 'group/index:v1', () => index([image('a'), image('b')])],
    ['a Docker manifest list', 'group/list:v1', () => dockerList([dockerManifest(), dockerManifest({ layers: [] })])],
  ])('with --all gives every part of %s', async (_, name, build) => {
    const pushed = build();
    await push(name, pushed);
    const directory = await copyOut('dir', name, '--all');
    await expectFile(join(directory, 'manifest.json'), pushed);
    for (const child of pushed.children) {
      await expectFile(join(directory, `${hexOf(child)}.manifest.json`), child);
      await expectBlobs(directory, child.blobs);
    }
  });

  it('is whole although the WAN was cut within a layer, which skopeo itself would not survive', async () => {
    const layer = blob(2_000_000, 'cut');
    const pushed = manifest({ layers: [layer] });
    await push('group/cut:v1', pushed);
    const isLayer = ({ path }: { path: string }): boolean => path.endsWith(layer.digest);
    site.relay.rules.push({ match: isLayer, times: 1, cutAfter: 700_000 });
    await expectBlobs(await copyOut('dir', 'group/cut:v1'), pushed.blobs);
    expect(site.relay.count(isLayer)).toBe(2);
  });
});

describe('skopeo copy into the proxy', () => {
  it.each([
    ['of an image that the primary has', 'group/known:v2', 'uploading manifest v2'],
    ['of a new image', 'group/unknown:v1', 'initiating layer upload'],
  ])('%s is refused, with the place to push to', async (_, target, step) => {
    await push('group/known:v1', image('known'));
    const directory = await copyOut('dir', 'group/known:v1');
    const { code, stderr } = await skopeo('copy', '--dest-tls-verify=false', `dir:${directory}`, inProxy(target));
    expect(code).toBe(1);
    expect(stderr).toContain(step);
    expect(stderr).toContain(site.refusal);
  });
});

describe('skopeo delete', () => {
  it('is refused, and the primary keeps the image', async () => {
    const pushed = image('kept');
    await push('group/kept:v1', pushed);
    const { code, stderr } = await skopeo('delete', '--tls-verify=false', inProxy('group/kept:v1'));
    expect(code).toBe(1);
    expect(stderr).toContain('this registry is a read-only copy');
    expect(await skopeoOrThrow('inspect', '--raw', '--tls-verify=false', inProxy('group/kept:v1'))).toBe(
      String(pushed.bytes),
    );
  });
});
