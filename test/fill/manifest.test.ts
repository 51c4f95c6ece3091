// F9, F10: manifests on a miss, the children that are asked for, and the blobs that are started ahead of the client.
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { blob, digestOf, type Blob } from '../support/content.ts';
import {
  artifact,
  buildCacheIndex,
  dockerList,
  dockerManifest,
  image,
  index,
  manifest,
  mediaTypes,
  type Manifest,
} from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import type { RelayMatch, RelayRequest } from '../support/relay.ts';
import { schema1 } from '../support/schema1.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf, download } from './download.ts';

const MiB = 1024 * 1024;

let site: ProxySite;

beforeAll(async () => {
  site = await startProxySite({
    env: { GEO_REPLICATION_EXCLUDE: 'excluded/*' },
    primary: { schema1: true },
    secondary: { schema1: true },
  });
});
afterEach(() => {
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(() => site.close());

const isBlobGet: RelayMatch = ({ method, path }) => method === 'GET' && path.includes('/blobs/');
const isWrite = ({ method }: RelayRequest): boolean => !['GET', 'HEAD'].includes(method);

async function isHere(repository: string, reference: string): Promise<boolean> {
  const { url, token } = site.secondaryTarget(repository);
  const headers = { authorization: `Bearer ${token}`, accept: Object.values(mediaTypes).join(', ') };
  const response = await fetch(`${url}/v2/${repository}/manifests/${reference}`, { method: 'HEAD', headers });
  return response.status === 200;
}

async function untilHere(repository: string, reference: string): Promise<void> {
  await waitFor(() => isHere(repository, reference), { what: `${repository} ${reference} in the secondary` });
}

const accept = { accept: Object.values(mediaTypes).join(', ') };

describe('a manifest passes byte for byte and is stored, be it', () => {
  const base = image('base');
  const forms: [string, Manifest][] = [
    ['an OCI image', image('an OCI image')],
    ['a Docker image', dockerManifest()],
    ['an OCI index', index([image('one'), image('two')])],
    ['a Docker list', dockerList([dockerManifest(), dockerManifest({ architecture: 'arm64' })])],
    ['an index of indexes', index([index([image('inner')])])],
    ['a BuildKit cache', buildCacheIndex([blob(1_000, 'cache 1'), blob(1_000, 'cache 2')])],
    [
      'an image with annotations of every script',
      manifest({ more: { annotations: { name: 'Ünïcødé ✓ \u2028 "x"' } } }),
    ],
    ['schema 1', schema1({ name: 'forms/app', tag: 'schema-1', layers: [blob(500, 'schema 1')] })],
  ];

  test.each(forms)('%s', async (what, pushed) => {
    const tag = what.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
    await pushImage(site.primaryTarget('forms/app'), tag, pushed);
    const byTag = await site.ask(`forms/app/manifests/${tag}`, { headers: accept });
    expect(byTag).toMatchObject({
      status: 200,
      headers: { 'content-type': pushed.mediaType, 'docker-content-digest': pushed.digest },
    });
    // A registry gives schema 1 out under a signature of its own; its digest says that the payload is the same.
    if (pushed.mediaType !== mediaTypes.schema1) expect(byTag.body.equals(pushed.bytes)).toBe(true);
    const byDigest = await site.ask(`forms/app/manifests/${pushed.digest}`, { headers: accept });
    expect(byDigest.body.equals(byTag.body)).toBe(true);
    await untilHere('forms/app', tag);
  });

  test('an artifact about another image', async () => {
    const signature = artifact(base, 'application/vnd.dev.cosign.artifact.sig.v1+json', blob('{"critical":{}}'));
    await pushImage(site.primaryTarget('forms/app'), undefined, base);
    await pushImage(site.primaryTarget('forms/app'), undefined, signature);
    const answer = await site.ask(`forms/app/manifests/${signature.digest}`, { headers: accept });
    expect(answer.body.equals(signature.bytes)).toBe(true);
    await Promise.all([untilHere('forms/app', signature.digest), untilHere('forms/app', base.digest)]);
  });
});

test('of an index only the child that is asked for is fetched on demand', async () => {
  // Where nothing is stored nothing follows in the background, either.
  const children = ['amd64', 'arm64', 'ppc64le'].map((architecture) =>
    manifest({ architecture, layers: [blob(2_000, architecture)] }),
  );
  const pushed = index(children);
  await pushImage(site.primaryTarget('excluded/index'), 'v1', pushed);
  const [, wanted] = children;
  expect((await site.ask('excluded/index/manifests/v1', { headers: accept })).body.equals(pushed.bytes)).toBe(true);
  expect(
    (await site.ask(`excluded/index/manifests/${wanted!.digest}`, { headers: accept })).body.equals(wanted!.bytes),
  ).toBe(true);
  for (const { digest } of wanted!.blobs) {
    expect(await download(site, `excluded/index/blobs/${digest}`)).toMatchObject({ digest, whole: true });
  }
  const fetched = site.relay.requests.filter(
    ({ method, path }) => method === 'GET' && path.startsWith('/v2/excluded/index/'),
  );
  expect(fetched.map(({ path }) => path.slice(path.lastIndexOf('/') + 1)).sort()).toEqual(
    [pushed.digest, wanted!.digest, ...wanted!.blobs.map(({ digest }) => digest)].sort(),
  );
});

test('the other children of an index follow in the background', async () => {
  const pushed = index([image('follows 1'), image('follows 2')]);
  await pushImage(site.primaryTarget('forms/index'), 'v1', pushed);
  await site.ask('forms/index/manifests/v1', { headers: accept });
  await untilHere('forms/index', 'v1');
  for (const child of pushed.children) expect(await isHere('forms/index', child.digest)).toBe(true);
});

/** A primary that has a manifest that no real registry takes, under a tag and its digest. */
function primaryHas(repository: string, size: number): { bytes: Buffer; digest: string } {
  const filler = 'x'.repeat(size);
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, layers: [], filler }),
  );
  const digest = digestOf(bytes);
  const headers = { 'content-type': mediaTypes.ociManifest, 'docker-content-digest': digest };
  const match: RelayMatch = ({ path }) => path.startsWith(`/v2/${repository}/manifests/`);
  site.relay.rules.push({ match, answer: { status: 200, headers, body: bytes } });
  return { bytes, digest };
}

describe('a manifest of', () => {
  test('5 MiB is passed through, and not kept', async () => {
    const { bytes, digest } = primaryHas('large/app', 5 * MiB);
    const before = await site.metric('copies_total', { result: 'unsupported' });
    for (const reference of ['v1', digest]) {
      const answer = await site.ask(`large/app/manifests/${reference}`, { headers: accept });
      expect(answer).toMatchObject({ status: 200, headers: { 'docker-content-digest': digest } });
      expect(answer.body.equals(bytes)).toBe(true);
    }
    expect(
      site.relay.count(({ method, path }) => method === 'GET' && path.includes('/manifests/')),
    ).toBeGreaterThanOrEqual(2);
    await waitFor(async () => (await site.metric('copies_total', { result: 'unsupported' })) > before, {
      what: 'the copy to be found impossible',
    });
    expect(site.localRelay.requests.filter(isWrite)).toEqual([]);
  });

  test('33 MiB is refused', async () => {
    primaryHas('huge/app', 33 * MiB);
    const answer = await site.ask('huge/app/manifests/v1', { headers: accept });
    expect(answer).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
  });
});

describe('the blobs of a manifest that was a miss', () => {
  test('are started before the client asks, the eight largest of them', async () => {
    const pushed = image('ahead', { layers: 11 });
    await pushImage(site.primaryTarget('ahead/app'), 'v1', pushed);
    const gate = createGate();
    onTestFinished(() => gate.open());
    site.relay.rules.push({ match: isBlobGet, gate });
    await site.ask('ahead/app/manifests/v1', { headers: accept });
    // The configuration comes before the layers, and is smaller; the copy in the background waits for its first four.
    const layers = pushed.blobs.slice(1).map(({ digest }) => digest);
    const fetched = (): string[] => {
      const paths = site.relay.requests.filter(isBlobGet).map(({ path }) => path.slice(path.lastIndexOf('/') + 1));
      const seen = new Set(paths);
      return layers.filter((digest) => seen.has(digest));
    };
    await waitFor(() => fetched().length === 8, { what: 'eight layers to be fetched' });
    expect(fetched()).toEqual(layers.slice(0, 8));
    // Not yet started, and asked for by the client now.
    const last = pushed.blobs.at(-1)!;
    const asked = download(site, `ahead/app/blobs/${last.digest}`);
    await waitFor(() => fetched().length === 9, { what: 'the one that is asked for' });
    gate.open();
    expect(await asked).toMatchObject({ digest: last.digest, whole: true });
    await untilHere('ahead/app', 'v1');
    expect(site.relay.count(isBlobGet)).toBe(12);
  });

  test('are not started again where the secondary has them', async () => {
    const [shared, own] = [blob(3_000, 'shared layer'), blob(3_000, 'own layer')];
    await pushImage(site.primaryTarget('ahead/warm'), 'v1', manifest({ layers: [shared] }));
    await site.ask('ahead/warm/manifests/v1', { headers: accept });
    await untilHere('ahead/warm', 'v1');
    site.relay.reset();
    await pushImage(site.primaryTarget('ahead/warm'), 'v2', manifest({ layers: [shared, own] }));
    await site.ask('ahead/warm/manifests/v2', { headers: accept });
    await untilHere('ahead/warm', 'v2');
    expect(site.relay.count(bodyOf(shared))).toBe(0);
    expect(site.relay.count(bodyOf(own))).toBe(1);
  });
});

/** Pulls an image that must not be stored, then one that is, and gives what was written for the first. */
async function writesFor(repository: string, pushed: Manifest): Promise<RelayRequest[]> {
  await pushImage(site.primaryTarget(repository), 'v1', pushed);
  await site.ask(`${repository}/manifests/v1`, { headers: accept });
  await site.ask(`${repository}/manifests/${pushed.digest}`, { headers: accept });
  expect(site.relay.count(isBlobGet)).toBe(0);
  const asked: Blob[] = [pushed.blobs[0]!, pushed.blobs[1]!];
  for (const { digest } of asked)
    expect(await download(site, `${repository}/blobs/${digest}`)).toMatchObject({ whole: true });
  await site.ask(`${repository}/manifests/gone`, { headers: accept });
  expect(site.relay.count(isBlobGet)).toBe(asked.length);
  return site.localRelay.requests.filter(isWrite);
}

test('for a repository that is excluded nothing is started ahead, and nothing is ever written', async () => {
  expect(await writesFor('excluded/app', image('excluded'))).toEqual([]);
  // What comes after it is stored; nothing was written for it meanwhile.
  const control = image('not excluded');
  await pushImage(site.primaryTarget('included/app'), 'v1', control);
  await site.ask('included/app/manifests/v1', { headers: accept });
  await untilHere('included/app', 'v1');
  expect(site.localRelay.requests.filter(isWrite).filter(({ path }) => path.includes('excluded/'))).toEqual([]);
});

test('with GEO_STORE=off nothing is ever written to the secondary', async () => {
  await site.restart({ GEO_STORE: 'off' });
  expect(await writesFor('stored/app', image('store off'))).toEqual([]);
  const large = blob(2 * MiB, 'store off, past the spool');
  await site.restart({ GEO_STORE: 'off', GEO_SPOOL_MAX: '1MiB' });
  await pushImage(site.primaryTarget('stored/app'), 'v2', manifest({ layers: [large] }));
  expect(await download(site, `stored/app/blobs/${large.digest}`)).toMatchObject({ digest: large.digest, whole: true });
  await site.restart();
  expect(site.localRelay.requests.filter(isWrite)).toEqual([]);
});
