// From a push at the primary to the secondary, nobody pulling: the registry's own notifications drive it.
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  artifact,
  buildCacheIndex,
  dockerList,
  dockerManifest,
  image,
  index,
  type Manifest,
} from '../support/image.ts';
import { blob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { deleteManifest, pushImage } from '../support/push.ts';
import { freePort, waitFor } from '../support/tool.ts';

const secret = 'Webhook-Secret-1';
let site: ProxySite;

beforeAll(async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/api/v4/container_registry_event/events`;
  site = await startProxySite({
    primary: { notifications: { url, headers: { Authorization: [secret] } } },
    env: { GEO_LISTEN: `127.0.0.1:${port}`, GEO_REPLICATION: 'on', GEO_EVENTS_TOKEN: secret },
  });
});

afterAll(() => site.close());

/** What the secondary itself has under a reference. */
async function stored(repository: string, reference: string): Promise<string | undefined> {
  const { url, token } = site.secondaryTarget(repository);
  const accept = ['oci.image.index.v1', 'oci.image.manifest.v1', 'docker.distribution.manifest.v2']
    .map((type) => `application/vnd.${type}+json`)
    .concat('application/vnd.docker.distribution.manifest.list.v2+json')
    .join(', ');
  const response = await fetch(`${url}/v2/${repository}/manifests/${reference}`, {
    method: 'HEAD',
    headers: { authorization: `Bearer ${token}`, accept },
  });
  return response.status === 200 ? (response.headers.get('docker-content-digest') ?? undefined) : undefined;
}

function arrives(repository: string, reference: string, digest: string): Promise<unknown> {
  return waitFor(async () => (await stored(repository, reference)) === digest, {
    what: `${repository}:${reference} in the secondary`,
  });
}

const subject = image('subject');
const forms: Record<string, Manifest> = {
  'an OCI image': image('webhook'),
  'a Docker schema 2 image': dockerManifest({ layers: [blob(3_000, 'docker')] }),
  'an OCI index': index([image('amd64'), image('arm64')]),
  'a Docker list': dockerList([dockerManifest({ layers: [blob(2_000, 'list')] })]),
  'a BuildKit cache': buildCacheIndex([blob(5_000, 'cache')]),
};

test.each(Object.entries(forms))('%s that is pushed arrives by itself', async (form, manifest) => {
  const repository = `events/${form.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`;
  await pushImage(site.primaryTarget(repository), 'v1', manifest);
  await arrives(repository, 'v1', manifest.digest);
});

test('a manifest that is pushed without a tag arrives, and so does an artifact with its subject', async () => {
  const signature = artifact(subject, 'application/vnd.example.signature', blob('signed', 1));
  const target = site.primaryTarget('events/untagged');
  await pushImage(target, undefined, subject);
  await pushImage(target, undefined, signature);
  await arrives('events/untagged', subject.digest, subject.digest);
  await arrives('events/untagged', signature.digest, signature.digest);
});

test('a tag that moves means the same here soon, and one that is removed goes, its sibling stays', async () => {
  const [first, second] = [image('first'), image('second')];
  const target = site.primaryTarget('events/moves');
  await pushImage(target, 'stays', first);
  await pushImage(target, 'moves', first);
  for (const tag of ['stays', 'moves']) await arrives('events/moves', tag, first.digest);
  await pushImage(target, 'moves', second);
  await arrives('events/moves', 'moves', second.digest);
  await deleteManifest(target, second.digest);
  await waitFor(async () => (await stored('events/moves', 'moves')) === undefined, { what: 'the removal of the tag' });
  expect(await stored('events/moves', 'stays')).toBe(first.digest);
});

test('pushes, moves and deletions come over without a failed attempt', async () => {
  const repository = 'events/rounds';
  const target = site.primaryTarget(repository);
  for (const round of [1, 2, 3]) {
    const [first, second] = [image(`round ${round}`), image(`round ${round} again`)];
    await pushImage(target, 'v1', first);
    await arrives(repository, 'v1', first.digest);
    await pushImage(target, 'v1', second);
    await arrives(repository, 'v1', second.digest);
    await deleteManifest(target, second.digest);
    for (const reference of ['v1', second.digest]) {
      await waitFor(async () => (await stored(repository, reference)) === undefined, { what: `${reference} to go` });
    }
  }
  const failures = site.log.filter((line) => line['repository'] === repository && line['msg'] === 'not replicated yet');
  expect(failures).toEqual([]);
});

test('an event ends the belief in a tag', async () => {
  const [first, second] = [image('believed'), image('told')];
  const target = site.primaryTarget('events/ttl');
  await site.restart({ GEO_TAG_TTL: '1h' });
  await pushImage(target, 'v1', first);
  expect((await site.ask('events/ttl/manifests/v1')).headers['docker-content-digest']).toBe(first.digest);
  await pushImage(target, 'v1', second);
  const isTold = async (): Promise<boolean> =>
    (await site.ask('events/ttl/manifests/v1')).headers['docker-content-digest'] === second.digest;
  await waitFor(isTold, { what: 'the pull of what was pushed again' });
});
