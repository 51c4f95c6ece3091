// containerd's `ctr` pulls and fetches through the proxy and is refused when it pushes.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { alice, startClientSite, type ClientSite } from '../support/client-site.ts';
import { startContainerd, type Containerd } from '../support/containerd.ts';
import { image, index } from '../support/image.ts';
import { pushImage } from '../support/push.ts';

let site: ClientSite;
let containerd: Containerd;

const withUser = ['--plain-http', '--user', `${alice.user}:${alice.password}`];
const pull = (...args: string[]): string[] => ['images', 'pull', '--snapshotter', 'native', ...args];

beforeAll(async () => {
  [site, containerd] = await Promise.all([startClientSite(), startContainerd()]);
});
afterAll(async () => {
  await Promise.all([containerd?.close(), site?.close()]);
});

describe('ctr images pull', () => {
  it('brings and unpacks a cold image', async () => {
    const pushed = await site.pushBusybox({ repository: 'group/cold', message: 'cold' });
    const name = `${site.registry}/group/cold:v1`;
    expect(await containerd.ctrOrThrow(...pull(...withUser, name))).toContain(`unpacking linux`);
    expect(await containerd.ctrOrThrow('images', 'list')).toContain(`${name} ${pushed.mediaType} ${pushed.digest}`);
  });

  it('is refused a private image without a login', async () => {
    await site.pushBusybox({ repository: 'group/private', message: 'private' });
    const { code, stderr } = await containerd.ctr(...pull('--plain-http', `${site.registry}/group/private:v1`));
    expect(code).toBe(1);
    expect(stderr).toContain('pull access denied, repository does not exist or may require authorization');
  });

  it('says that an image does not exist', async () => {
    const { code, stderr } = await containerd.ctr(...pull(...withUser, `${site.registry}/group/none:v1`));
    expect(code).toBe(1);
    expect(stderr).toContain(`${site.registry}/group/none:v1: not found`);
  });
});

describe('ctr content fetch', () => {
  it('brings all platforms of an index, byte for byte', async () => {
    const list = index([image('amd64'), image('arm64')]);
    await pushImage(site.primaryTarget('group/list'), 'v1', list);
    const name = `${site.registry}/group/list:v1`;
    await containerd.ctrOrThrow('content', 'fetch', ...withUser, '--all-platforms', name);
    for (const { bytes, digest } of [list, ...list.children]) {
      expect(await containerd.ctrOrThrow('content', 'get', digest)).toBe(String(bytes));
    }
    const listed = await containerd.ctrOrThrow('content', 'list');
    for (const { digest } of list.children.flatMap(({ blobs }) => blobs)) expect(listed).toContain(digest);
  });
});

describe('ctr images push', () => {
  it('is refused with the status, which is all that ctr prints', async () => {
    await site.pushBusybox({ repository: 'group/pushed', message: 'pushed' });
    const [name, copy] = [`${site.registry}/group/pushed:v1`, `${site.registry}/group/new:v1`];
    await containerd.ctrOrThrow(...pull(...withUser, name));
    await containerd.ctrOrThrow('images', 'tag', name, copy);
    const { code, stderr } = await containerd.ctr('images', 'push', ...withUser, copy);
    expect(code).toBe(1);
    expect(stderr).toContain('unexpected status: 405 Method Not Allowed');
  });

  it('of what the primary has on that tag ends well, with nothing to push', async () => {
    const pushed = await site.pushBusybox({ repository: 'group/same', message: 'same' });
    const name = `${site.registry}/group/same:v1`;
    await containerd.ctrOrThrow(...pull(...withUser, name));
    await site.stored('group/same', 'v1', pushed.digest);
    site.forget();
    await containerd.ctrOrThrow('images', 'push', ...withUser, name);
    expect(new Set(site.answered().map(({ method }) => method))).toEqual(new Set(['HEAD']));
    // Whether it has to upload, only the primary can tell it.
    expect(site.relay.count(({ path }) => path.includes('/blobs/'))).toBe(pushed.blobs.length);
  });
});
