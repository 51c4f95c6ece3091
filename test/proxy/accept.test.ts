// What an Accept header gets, held against what Distribution itself gives for it; and where the two part on purpose.
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { blob } from '../support/content.ts';
import {
  artifact,
  buildCacheIndex,
  dockerList,
  dockerManifest,
  image,
  index,
  mediaTypes,
  type Manifest,
} from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { schema1 } from '../support/schema1.ts';
import { manifestDigest } from '../../src/oci/manifest.ts';
import { calm, pushToBoth, untilLocal } from './local-copy.ts';
import { send } from './wire.ts';

let site: ProxySite;
const name = 'accept/forms';
const docker = withHistory('amd64');
const arm = withHistory('arm64');
const oci = image('accept oci');
const old = schema1({ name, tag: 'old', layers: [blob(1_000, 'accept old')] });
const forms: Record<string, Manifest> = {
  docker,
  list: dockerList([docker, arm]),
  oci,
  index: index([oci]),
  cache: buildCacheIndex([blob(1_000, 'accept cache')]),
  signature: artifact(oci, 'application/vnd.example.signature', blob('accept signature')),
};

/** A Docker image whose configuration is complete enough for Distribution to make schema 1 of it. */
function withHistory(architecture: string): Manifest {
  const layer = blob(1_000, `accept ${architecture}`);
  const rootfs = { type: 'layers', diff_ids: [layer.digest] };
  const history = [{ created: '2024-01-01T00:00:00Z', created_by: 'ADD file' }];
  const config = blob(JSON.stringify({ architecture, os: 'linux', config: {}, rootfs, history }));
  return dockerManifest({ config, layers: [layer] });
}

beforeAll(async () => {
  site = await startProxySite({ primary: { schema1: true }, secondary: { schema1: true } });
  for (const [tag, manifest] of Object.entries(forms)) await pushImage(site.primaryTarget(name), tag, manifest);
  await pushImage(site.primaryTarget(name), 'old', old);
});
afterAll(() => site.close());

interface Given {
  readonly status: number;
  readonly type?: string;
  readonly digest?: string;
}

/** What the primary registry itself answers. */
async function distribution(reference: string, accept: string, method: 'GET' | 'HEAD'): Promise<Given> {
  const { url, token } = site.primaryTarget(name);
  const headers = { authorization: `Bearer ${token}`, accept };
  const response = await request(`${url}/v2/${name}/manifests/${reference}`, { method, headers });
  await response.body.dump();
  if (response.statusCode !== 200) return { status: response.statusCode };
  const [type, digest] = ['content-type', 'docker-content-digest'].map((key) => String(response.headers[key]));
  return { status: 200, type: type!, digest: digest! };
}

async function proxy(reference: string, accept: string, method: 'GET' | 'HEAD'): Promise<Given> {
  const { status, headers, body } = await site.ask(`${name}/manifests/${reference}`, { method, headers: { accept } });
  const { 'content-type': type = '', 'docker-content-digest': digest = '' } = headers;
  if (status !== 200) return { status };
  if (method === 'GET') expect(manifestDigest(body, type)).toBe(digest);
  return { status, type, digest };
}

const types = mediaTypes;
const accepts = [
  types.dockerManifest,
  types.dockerList,
  types.ociManifest,
  types.ociIndex,
  types.schema1,
  `${types.dockerManifest}, ${types.dockerList}`,
  `${types.ociManifest}, ${types.ociIndex}`,
  `${types.dockerManifest}, ${types.ociManifest}`,
  `${types.dockerManifest},${types.dockerList},${types.ociManifest},${types.ociIndex}`,
  `${types.ociIndex};q=0.9, ${types.ociManifest};q=0.8`,
  'application/json',
  'text/html',
];

describe.each(Object.keys(forms))('a manifest of the form "%s"', (form) => {
  const { digest } = forms[form]!;

  test.each(accepts)('for "%s" is what Distribution gives, by tag and by digest', async (accept) => {
    for (const reference of [form, digest]) {
      for (const method of ['GET', 'HEAD'] as const) {
        const theirs = await distribution(reference, accept, method);
        const ours = await proxy(reference, accept, method);
        // Distribution would rewrite it to schema 1, another image with another digest: clients of today want neither.
        const isRewritten = theirs.type === types.schema1;
        expect(ours).toEqual(isRewritten ? { status: 200, type: docker.mediaType, digest: docker.digest } : theirs);
      }
    }
  });

  test.each(['', '*/*', 'application/*', `${types.schema1}, */*;q=0.1`, 'text/html, */*'])(
    'for "%s" is as it was pushed',
    async (accept) => {
      for (const reference of [form, digest]) {
        expect(await proxy(reference, accept, 'GET')).toMatchObject({ status: 200, digest });
      }
    },
  );
});

test('Accept that comes in several fields is one', async () => {
  const headers = {
    authorization: `Bearer ${site.pullToken(name)}`,
    accept: [types.ociIndex, 'text/html', types.ociManifest],
  };
  for (const form of ['oci', 'index']) {
    expect((await send(site.proxy.url, `GET /v2/${name}/manifests/${form}`, headers)).status).toBe(200);
  }
  const others = { ...headers, accept: [types.dockerManifest, types.dockerList] };
  expect((await send(site.proxy.url, `GET /v2/${name}/manifests/oci`, others)).status).toBe(404);
});

test.each([
  [`${types.ociManifest};q=0`, 404],
  [`${types.ociManifest};q=0.000, */*`, 404],
  [`${types.ociManifest} ; q=0`, 404],
  [`*/*;q=0`, 404],
  [`application/*;q=0, */*`, 404],
  [`${types.ociManifest};q=0.001`, 200],
  [`*/*;q=0, ${types.ociManifest}`, 200],
  [types.ociManifest.toUpperCase(), 200],
  [`  ${types.ociManifest}  ,,`, 200],
  [`${types.ociManifest}x`, 404],
  [`x${types.ociManifest}`, 404],
])('an OCI image for "%s" is %i', async (accept, status) => {
  for (const reference of ['oci', oci.digest]) expect((await proxy(reference, accept, 'GET')).status).toBe(status);
});

describe('schema 1', () => {
  test('is one image, cold, from memory, stored, and from the store', async () => {
    const cold = await site.ask(`${name}/manifests/old`);
    expect(cold.headers).toMatchObject({ 'content-type': types.schema1, 'docker-content-digest': old.digest });
    expect(JSON.parse(cold.body.toString())).toMatchObject({ schemaVersion: 1, name, tag: 'old' });
    expect((await site.ask(`${name}/manifests/${old.digest}`)).body.equals(cold.body)).toBe(true);
    await untilLocal(site, name, 'old', old.digest);
    await site.restart();
    onTestFinished(() => calm(site));
    await site.relay.down();
    const warm = await site.ask(`${name}/manifests/${old.digest}`);
    expect(warm.headers).toMatchObject({ 'content-type': types.schema1, 'docker-content-digest': old.digest });
    expect(manifestDigest(warm.body, types.schema1)).toBe(old.digest);
  });

  test('goes to clients that name either of its types', async () => {
    for (const accept of [types.schema1, types.schema1.replace('prettyjws', 'json')]) {
      expect(await proxy('old', accept, 'GET')).toMatchObject({ status: 200, digest: old.digest });
    }
  });
});

describe('If-None-Match', () => {
  const conditions: [what: string, of: (digest: string) => string, status: number][] = [
    ['quoted', (digest) => `"${digest}"`, 304],
    ['bare', (digest) => digest, 304],
    ['weak', (digest) => `W/"${digest}"`, 304],
    ['in a list', (digest) => `"x", "${digest}" , "y"`, 304],
    ['any', () => '*', 304],
    ['of another', (digest) => `"${digest.replace(/.$/, (last) => (last === '0' ? '1' : '0'))}"`, 200],
    ['cut off', (digest) => `"${digest.slice(0, -1)}"`, 200],
    ['of nothing', () => '', 200],
  ];

  test.each(conditions)('%s, of a manifest', async (_what, of, status) => {
    for (const manifest of [forms['oci']!, forms['list']!]) {
      for (const reference of [manifest === oci ? 'oci' : 'list', manifest.digest]) {
        for (const method of ['GET', 'HEAD'] as const) {
          const headers = { 'if-none-match': of(manifest.digest) };
          const answer = await site.ask(`${name}/manifests/${reference}`, { method, headers });
          expect(answer.status).toBe(status);
          expect(answer.headers).toMatchObject({
            etag: `"${manifest.digest}"`,
            'docker-content-digest': manifest.digest,
            'cache-control': 'private',
          });
          expect(answer.body.length).toBe(status === 200 && method === 'GET' ? manifest.size : 0);
        }
      }
    }
  });

  test.each([
    ['the child', docker, 304],
    ['the list', forms['list']!, 200],
  ])('is about the image that the client gets: of a list %s', async (_what, { digest }, status) => {
    const headers = { accept: types.dockerManifest, 'if-none-match': `"${digest}"` };
    expect((await site.ask(`${name}/manifests/list`, { headers })).status).toBe(status);
  });

  test('does not make a refused type, nor a missing manifest, a 304', async () => {
    const headers = { accept: types.dockerManifest, 'if-none-match': `"${oci.digest}"` };
    expect((await site.ask(`${name}/manifests/oci`, { headers })).status).toBe(404);
    expect((await site.ask(`accept/none/manifests/${oci.digest}`, { headers })).status).toBe(404);
  });

  test('of a tag that moved meanwhile is the new image', async () => {
    const [before, after] = [image('accept before'), image('accept after')];
    const headers = { 'if-none-match': `"${before.digest}"` };
    await pushToBoth(site, 'accept/moving', 'v1', before);
    expect((await site.ask('accept/moving/manifests/v1', { headers })).status).toBe(304);
    await pushImage(site.primaryTarget('accept/moving'), 'v1', after);
    const answer = await site.ask('accept/moving/manifests/v1', { headers });
    expect({ status: answer.status, bytes: answer.body.equals(after.bytes) }).toEqual({ status: 200, bytes: true });
  });
});
