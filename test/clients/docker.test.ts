// Docker Engine pulls through the proxy and is refused when it pushes.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { alice, isBlobPull, startClientSite, type ClientSite } from '../support/client-site.ts';
import { startDockerEngine, type DockerEngine } from '../support/dockerd.ts';
import { dockerList, image, index } from '../support/image.ts';
import { pushImage } from '../support/push.ts';

let site: ClientSite;
let engine: DockerEngine;

const login = (registry: string, password: string = alice.password): string[] => {
  return ['login', '--username', alice.user, '--password', password, registry];
};
/** What the image prints when it is run. */
const messageOf = (image: string): Promise<string> => {
  return engine.dockerOrThrow('run', '--rm', '--network=none', image, 'cat', '/message');
};
/** Runs `docker` without anybody's login. */
const anonymously = (...args: string[]): ReturnType<DockerEngine['docker']> => {
  return engine.docker('--config', join(engine.home.dir, 'nobody'), ...args);
};
const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';

beforeAll(async () => {
  [site, engine] = await Promise.all([startClientSite(), startDockerEngine()]);
  await engine.dockerOrThrow(...login(site.registry));
});
afterAll(async () => {
  await Promise.all([engine?.close(), site?.close()]);
});

describe('docker login', () => {
  it('goes from the challenge to the realm and back', async () => {
    site.forget();
    site.tokens.requests.length = 0;
    expect(await engine.dockerOrThrow(...login(site.registry))).toContain('Login Succeeded');
    expect(site.answered().map(({ path, status }) => [path, status])).toEqual([
      ['/v2/', 401],
      ['/v2/', 200],
    ]);
    expect(site.tokens.requests).toMatchObject([{ account: alice.user, status: 200 }]);
  });

  it('fails in the words of the token service when the password is wrong', async () => {
    const { code, stderr } = await anonymously(...login(site.registry, 'looking-glass'));
    expect(code).toBe(1);
    expect(stderr).toContain('unauthorized: HTTP Basic: Access denied');
  });
});

describe('docker pull', () => {
  // The first pull of this file: none of its layers is anywhere but at the primary.
  it('brings a cold image, each of its bytes once over the WAN, that runs', async () => {
    const pushed = await site.pushBusybox({ repository: 'group/cold', message: 'cold' });
    const name = `${site.registry}/group/cold:v1`;
    site.forget();
    expect(await engine.dockerOrThrow('pull', name)).toContain(`Digest: ${pushed.digest}`);
    expect(await messageOf(name)).toBe('cold\n');
    await site.stored('group/cold', 'v1', pushed.digest);
    const size = pushed.blobs.reduce((sum, blob) => sum + blob.size, 0);
    expect(site.relay.bodyBytes(isBlobPull)).toBe(size);
  });

  it('brings a warm image without a byte of a blob over the WAN', async () => {
    const pushed = await site.pushBusybox({ repository: 'group/warm', message: 'warm' });
    const name = `${site.registry}/group/warm:v1`;
    await engine.dockerOrThrow('pull', name);
    await site.stored('group/warm', 'v1', pushed.digest);
    await engine.dockerOrThrow('rmi', name);
    site.forget();
    await engine.dockerOrThrow('pull', name);
    expect(await messageOf(name)).toBe('warm\n');
    expect(site.relay.count(isBlobPull)).toBe(0);
    const origins = site.answered().filter(({ path }) => path.includes('/blobs/'));
    expect(new Set(origins.map(({ origin }) => origin))).toEqual(new Set(['local']));
  });

  it('brings the new image right after a tag was pushed again', async () => {
    const repository = 'group/moving';
    const name = `${site.registry}/${repository}:v1`;
    const first = await site.pushBusybox({ repository, message: 'first' });
    await engine.dockerOrThrow('pull', name);
    await site.stored(repository, 'v1', first.digest);
    const second = await site.pushBusybox({ repository, message: 'second' });
    expect(await engine.dockerOrThrow('pull', name)).toContain(`Digest: ${second.digest}`);
    expect(await messageOf(name)).toBe('second\n');
  });

  it('brings an image by its digest', async () => {
    const pushed = await site.pushBusybox({ repository: 'group/digest', message: 'digest' });
    const name = `${site.registry}/group/digest@${pushed.digest}`;
    expect(lastLine(await engine.dockerOrThrow('pull', name))).toBe(name);
  });

  it.each([
    ['an OCI index', 'oci', index],
    ['a Docker manifest list', 'docker', dockerList],
  ] as const)('asks for the own platform’s part of %s only', async (_, form, listOf) => {
    const repository = `group/${form}-list`;
    const [own, other] = [await site.busybox({ message: form, form }), image(form)];
    // The builders' first platform is amd64, their second arm64.
    const list = listOf(process.arch === 'arm64' ? [other, own] : [own, other]);
    await pushImage(site.primaryTarget(repository), 'v1', list);
    const name = `${site.registry}/${repository}:v1`;
    site.forget();
    expect(await engine.dockerOrThrow('pull', name)).toContain(`Digest: ${list.digest}`);
    expect(await messageOf(name)).toBe(`${form}\n`);
    const manifests = site.answered().filter(({ path }) => path.includes('/manifests/'));
    const asked = manifests.map(({ path }) => path.slice(path.lastIndexOf('/') + 1));
    expect(asked).toEqual(['v1', list.digest, own.digest]);
  });

  it('brings a public image to anybody', async () => {
    await site.pushBusybox({ repository: 'public/app', message: 'public' });
    expect((await anonymously('pull', `${site.registry}/public/app:v1`)).code).toBe(0);
  });

  it('is refused a private image without a login, in Docker’s own words', async () => {
    await site.pushBusybox({ repository: 'group/private', message: 'private' });
    const name = `${site.registry}/group/private`;
    const { code, stderr } = await anonymously('pull', `${name}:v1`);
    expect(code).toBe(1);
    expect(stderr.trimEnd()).toBe(
      `Error response from daemon: pull access denied for ${name}, repository does not exist ` +
        `or may require 'docker login': denied: requested access to the resource is denied`,
    );
  });

  it.each(['group/private:none', 'group/nowhere:v1'])('says that %s does not exist', async (reference) => {
    const name = `${site.registry}/${reference}`;
    const { code, stderr } = await engine.docker('pull', name);
    expect(code).toBe(1);
    const [repository, tag] = reference.split(':');
    const said = `no such tag "${tag}" in ${repository} at ${site.primaryRegistry}`;
    expect(stderr).toContain(`manifest for ${name} not found: manifest unknown: ${said}`);
  });
});

describe('docker push', () => {
  it('of an image that the primary has is refused at once, with the place to push to', async () => {
    await site.pushBusybox({ repository: 'group/pushed', message: 'pushed' });
    const name = `${site.registry}/group/pushed:v1`;
    await engine.dockerOrThrow('pull', name);
    site.forget();
    const { code, stderr } = await engine.docker('push', name);
    expect(code).toBe(1);
    expect(stderr).toContain(site.refusal);
    const refused = site.answered().filter(({ status }) => status === 405);
    expect(refused.map(({ method }) => method)).toEqual(['PUT']);
  });

  it('of a new image is refused at once, with the place to push to', async () => {
    await site.pushBusybox({ repository: 'group/origin', message: 'origin' });
    const name = `${site.registry}/group/origin:v1`;
    const copy = `${site.registry}/group/new:v1`;
    await engine.dockerOrThrow('pull', name);
    await engine.dockerOrThrow('tag', name, copy);
    const { code, stdout, stderr } = await engine.docker('push', copy);
    expect(code).toBe(1);
    expect(stderr).toContain(site.refusal);
    expect(stdout).not.toContain('Retrying');
  });

  it('to the place that the refusal names is pulled through the proxy at once', async () => {
    const pushed = await site.busybox({ message: 'again' });
    await pushImage(site.primaryTarget('group/again'), 'v1', pushed);
    const [here, there] = [site.registry, site.primaryRegistry].map((host) => `${host}/group/again`);
    await engine.dockerOrThrow(...login(site.primaryRegistry));
    await engine.dockerOrThrow('pull', `${here}:v1`);
    await engine.dockerOrThrow('tag', `${here}:v1`, `${there}:v2`);
    const [digest] = /sha256:\w{64}/.exec(await engine.dockerOrThrow('push', `${there}:v2`)) ?? [];
    expect(await engine.dockerOrThrow('pull', `${here}:v2`)).toContain(`Digest: ${digest}`);
    expect(await messageOf(`${here}:v2`)).toBe('again\n');
  });
});

describe('docker pull while the primary registry is stopped', () => {
  let name: string;

  beforeAll(async () => {
    name = `${site.registry}/group/survivor:v1`;
    const pushed = await site.pushBusybox({ repository: 'group/survivor', message: 'survivor' });
    await site.pushBusybox({ repository: 'group/unseen', message: 'unseen' });
    await engine.dockerOrThrow('pull', name);
    await site.stored('group/survivor', 'v1', pushed.digest);
    await engine.dockerOrThrow('rmi', name);
    await site.primary.stop();
  });

  it('brings an image that was pulled before', async () => {
    await engine.dockerOrThrow('pull', name);
    expect(await messageOf(name)).toBe('survivor\n');
  });

  it('does not say of another image that it does not exist', async () => {
    const { code, stderr } = await engine.docker('pull', `${site.registry}/group/unseen:v1`);
    expect(code).toBe(1);
    expect(stderr).toContain('received unexpected HTTP status: 503 Service Unavailable');
  });
});
