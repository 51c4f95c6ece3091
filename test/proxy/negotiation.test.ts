// What the client's Accept allows is decided here: both registries are always asked for everything.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob } from '../support/content.ts';
import {
  artifact,
  buildCacheIndex,
  dockerList,
  dockerManifest,
  image,
  index,
  manifestOf,
  mediaTypes,
} from '../support/image.ts';
import type { Manifest } from '../support/image.ts';
import { startProxySite, type Answer, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { schema1 } from '../support/schema1.ts';
import { calm, pushToBoth, untilLocal } from './local-copy.ts';

let site: ProxySite;
const docker = dockerManifest({ layers: [blob(1_000, 'docker')] });
const arm = dockerManifest({ layers: [blob(1_000, 'arm')], architecture: 'arm64' });
const list = dockerList([docker, arm]);
const oci = image('oci');
const ociIndex = index([oci, image('oci arm')]);
const cache = buildCacheIndex([blob(2_000, 'cache')]);
const signature = artifact(oci, 'application/vnd.example.signature', blob('a signature'));
const custom = manifestOf(
  mediaTypes.ociManifest,
  {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: 'x/y', digest: oci.blobs[0]!.digest, size: oci.blobs[0]!.size },
    layers: [],
    annotations: { ключ: 'wert ✓' },
  },
  { blobs: [oci.blobs[0]!] },
);
const old = schema1({ name: 'form/remote', tag: 'old', layers: [blob(1_000, 'old')] });

const forms: [string, Manifest][] = [
  ['docker', docker],
  ['list', list],
  ['oci', oci],
  ['index', ociIndex],
  ['cache', cache],
  ['signature', signature],
  ['custom', custom],
];

beforeAll(async () => {
  site = await startProxySite({ primary: { schema1: true } });
  for (const [tag, manifest] of forms) await pushToBoth(site, 'form/both', tag, manifest);
  for (const [tag, manifest] of [...forms, ['old', old] as const]) {
    await pushImage(site.primaryTarget('form/remote'), tag, manifest);
  }
});
afterEach(() => calm(site));
afterAll(() => site.close());

const ask = (path: string, accept: string | undefined, method: 'GET' | 'HEAD' = 'GET'): Promise<Answer> =>
  site.ask(path, { method, headers: accept === undefined ? {} : { accept } });

describe.each(['form/both', 'form/remote'])('%s', (name) => {
  test.each(forms)('%s comes byte for byte, by tag and by digest, whoever has it', async (tag, manifest) => {
    for (const reference of [tag, manifest.digest]) {
      for (const accept of [undefined, '*/*', manifest.mediaType, `${manifest.mediaType};q=0.5, text/plain`]) {
        const { status, headers, body } = await ask(`${name}/manifests/${reference}`, accept);
        expect({ status, type: headers['content-type'], digest: headers['docker-content-digest'] }).toEqual({
          status: 200,
          type: manifest.mediaType,
          digest: manifest.digest,
        });
        expect(body.equals(manifest.bytes)).toBe(true);
      }
    }
  });

  test.each([
    ['oci', mediaTypes.dockerManifest],
    ['index', mediaTypes.ociManifest],
    ['index', `${mediaTypes.dockerList}, ${mediaTypes.ociManifest}`],
    ['oci', 'application/json'],
    ['oci', `*/*, ${mediaTypes.ociManifest};q=0`],
  ])('an OCI type that is not accepted, %s for %s, is 404', async (tag, accept) => {
    const digest = forms.find(([form]) => form === tag)![1].digest;
    for (const reference of [tag, digest]) {
      const answer = await ask(`${name}/manifests/${reference}`, accept);
      expect({ status: answer.status, code: answer.code }).toEqual({ status: 404, code: 'MANIFEST_UNKNOWN' });
      expect(answer.body.toString()).toContain('Accept');
      expect((await ask(`${name}/manifests/${reference}`, accept, 'HEAD')).status).toBe(404);
    }
  });

  test('Docker’s schema 2 goes to a client that accepts OCI only, never rewritten', async () => {
    for (const reference of ['docker', docker.digest]) {
      const answer = await ask(`${name}/manifests/${reference}`, mediaTypes.ociManifest);
      expect(answer.body.equals(docker.bytes)).toBe(true);
    }
  });

  test('a client that knows schema 2 alone gets a list’s amd64 image by tag, the list by digest', async () => {
    for (const method of ['GET', 'HEAD'] as const) {
      const { headers } = await ask(`${name}/manifests/list`, mediaTypes.dockerManifest, method);
      expect(headers['docker-content-digest']).toBe(docker.digest);
      expect(headers['content-type']).toBe(mediaTypes.dockerManifest);
    }
    const byTag = await ask(`${name}/manifests/list`, mediaTypes.dockerManifest);
    expect(byTag.body.equals(docker.bytes)).toBe(true);
    const byDigest = await ask(`${name}/manifests/${list.digest}`, mediaTypes.dockerManifest);
    expect(byDigest.body.equals(list.bytes)).toBe(true);
  });
});

test('schema 1 comes byte for byte with the digest of its payload', async () => {
  const { headers, body } = await ask('form/remote/manifests/old', '*/*');
  expect(headers).toMatchObject({ 'content-type': mediaTypes.schema1, 'docker-content-digest': old.digest });
  const again = await ask(`form/remote/manifests/${old.digest}`, mediaTypes.schema1);
  expect(again.body.equals(body)).toBe(true);
  // Registries take either name of it for the other.
  expect((await ask('form/remote/manifests/old', 'application/vnd.docker.distribution.manifest.v1+json')).status).toBe(
    200,
  );
});

test('a list without an amd64 image is 404 for a client that knows schema 2 alone', async () => {
  const other = {
    schemaVersion: 2,
    mediaType: mediaTypes.dockerList,
    manifests: [
      {
        mediaType: arm.mediaType,
        digest: arm.digest,
        size: arm.size,
        platform: { os: 'linux', architecture: 'arm64' },
      },
    ],
  };
  await pushImage(
    site.primaryTarget('form/arm'),
    'list',
    manifestOf(mediaTypes.dockerList, other, { children: [arm] }),
  );
  const answer = await ask('form/arm/manifests/list', mediaTypes.dockerManifest);
  expect({ status: answer.status, code: answer.code }).toEqual({ status: 404, code: 'MANIFEST_UNKNOWN' });
});

test('both registries are asked for every type, whatever the client accepts', async () => {
  await pushImage(site.primaryTarget('form/asked'), 'v1', ociIndex);
  await ask('form/asked/manifests/v1', 'text/plain, */*;q=0.1');
  await ask(`form/asked/manifests/${ociIndex.digest}`, mediaTypes.ociIndex);
  await untilLocal(site, 'form/asked', 'v1', ociIndex.digest);
  const asked = [...site.relay.requests, ...site.localRelay.requests].filter(
    ({ method, path }) => path.includes('/form/asked/manifests/') && method !== 'PUT',
  );
  expect(asked.length).toBeGreaterThan(3);
  for (const { headers } of asked) {
    for (const type of [
      mediaTypes.ociIndex,
      mediaTypes.ociManifest,
      mediaTypes.dockerList,
      mediaTypes.dockerManifest,
      mediaTypes.schema1,
    ]) {
      expect(headers.accept).toContain(type);
    }
    // Ours, at the end, and not the client's.
    expect(headers.accept).toMatch(/, \*\/\*$/);
  }
});

test('HEAD of a tag and GET of its digest are one image, the primary gone in between', async () => {
  await pushImage(site.primaryTarget('form/headed'), 'v1', oci);
  const head = await ask('form/headed/manifests/v1', undefined, 'HEAD');
  await site.relay.down();
  const answer = await ask(`form/headed/manifests/${head.headers['docker-content-digest']}`, mediaTypes.ociManifest);
  expect(answer.body.equals(oci.bytes)).toBe(true);
});
