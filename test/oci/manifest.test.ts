import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { defaultPlatformChild, isManifestOf, linksOf, manifestDigest } from '../../src/oci/manifest.ts';
import { ACCEPT_ALL, MANIFEST } from '../../src/oci/media-types.ts';
import { blob } from '../support/content.ts';
import {
  artifact,
  buildCacheIndex,
  dockerList,
  dockerManifest,
  image,
  index,
  manifest,
  manifestOf,
  type Manifest as Built,
} from '../support/image.ts';
import { pushImage } from '../support/push.ts';
import { startRegistry } from '../support/registry.ts';
import { schema1 } from '../support/schema1.ts';

const [one, two] = [blob('one'), blob('two')];
const zero: Digest = `sha256:${'0'.repeat(64)}`;

/** The digests that a manifest links to. */
function digests(built: Pick<Built, 'mediaType' | 'bytes'>) {
  const { blobs, manifests, subject } = linksOf(built);
  const subjects = subject ? { subject: subject.digest } : {};
  return { blobs: blobs.map(({ digest }) => digest), manifests: manifests.map(({ digest }) => digest), ...subjects };
}

function raw(mediaType: string, document: unknown): Pick<Built, 'mediaType' | 'bytes'> {
  return { mediaType, bytes: Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)) };
}

describe('linksOf', () => {
  it.each([
    ['an OCI image', manifest({ layers: [one, two] })],
    ['a Docker image', dockerManifest({ layers: [one, two] })],
  ])('finds configuration and layers of %s', (_what, built) => {
    expect(digests(built)).toEqual({ blobs: built.blobs.map(({ digest }) => digest), manifests: [] });
    expect(built.blobs).toHaveLength(3);
  });

  it.each([
    ['an OCI index', index([image(1), image(2)])],
    ['a Docker list', dockerList([dockerManifest(), dockerManifest({ architecture: 'arm64' })])],
    ['an index of indexes', index([index([image(1)]), image(2)])],
  ])('finds the manifests of %s', (_what, built) => {
    expect(digests(built)).toEqual({ blobs: [], manifests: built.children.map(({ digest }) => digest) });
  });

  it("finds a BuildKit cache's blobs among an index's entries", () => {
    const cache = buildCacheIndex([one, two]);
    expect(digests(cache)).toEqual({ blobs: cache.blobs.map(({ digest }) => digest), manifests: [] });
  });

  it('finds the subject of an artifact', () => {
    const subject = image(1);
    const built = artifact(subject, 'application/vnd.example.sbom', one);
    expect(digests(built)).toEqual({
      blobs: built.blobs.map(({ digest }) => digest),
      manifests: [],
      subject: subject.digest,
    });
  });

  it("finds the blobs of OCI's former artifact manifest", () => {
    const document = { mediaType: MANIFEST.ociArtifact, blobs: [{ mediaType: 'x/y', digest: one.digest, size: 3 }] };
    expect(digests(raw(MANIFEST.ociArtifact, document))).toEqual({ blobs: [one.digest], manifests: [] });
  });

  it('finds the layers of schema 1, each once', () => {
    const built = schema1({ name: 'a', tag: 'b', layers: [one, two, one] });
    expect(digests(built)).toEqual({ blobs: [one.digest, two.digest], manifests: [] });
    expect(digests({ ...built, mediaType: 'application/json' }).blobs).toEqual([one.digest, two.digest]);
  });

  it('is not misled by the fsLayers of an OCI image', () => {
    const built = manifest({ layers: [one], more: { fsLayers: [{ blobSum: zero }] } });
    expect(digests(built).blobs).toEqual(built.blobs.map(({ digest }) => digest));
  });

  it('keeps what else a descriptor says', () => {
    const layer = { mediaType: 'a/b', digest: one.digest, size: 3, urls: ['https://example.com/1', 5] };
    const child = {
      mediaType: MANIFEST.ociManifest,
      digest: two.digest,
      size: 9,
      platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
    };
    const { blobs, manifests } = linksOf(manifestOf(MANIFEST.ociIndex, { layers: [layer], manifests: [child] }));
    expect(blobs).toEqual([{ ...layer, urls: ['https://example.com/1'] }]);
    expect(manifests).toEqual([child]);
  });

  it.each([
    ['no JSON', '{"layers": ['],
    ['nothing', ''],
    ['null', 'null'],
    ['a number', '1'],
    ['a list', '[]'],
    ['members of other types', { config: 1, layers: 'x', manifests: {}, subject: [], blobs: null }],
    ['descriptors that are none', { layers: [null, 1, 'x', [], {}, { digest: 1 }, { digest: 'sha256:x' }] }],
    ['fsLayers that are none', { fsLayers: [null, 1, {}, { blobSum: 'x' }] }],
    ['bytes that are no UTF-8', Buffer.from([0xff, 0xfe, 0x00]).toString('latin1')],
  ])('finds nothing in %s', (_what, document) => {
    for (const type of [...Object.values(MANIFEST), 'application/json', '']) {
      expect(digests(raw(type, document)), type).toEqual({ blobs: [], manifests: [] });
    }
  });
});

function asManifest(built: Built) {
  return { ...built, digest: built.digest as Digest };
}

describe('defaultPlatformChild', () => {
  const [amd64, arm64] = [dockerManifest(), dockerManifest({ architecture: 'arm64' })];

  it('is the linux/amd64 child of a Docker list', () => {
    expect(defaultPlatformChild(asManifest(dockerList([amd64, arm64])))).toBe(amd64.digest);
  });

  it('is none where there is no such child, and none of an OCI index', () => {
    expect(defaultPlatformChild(asManifest(dockerList([])))).toBeUndefined();
    expect(defaultPlatformChild(asManifest(index([image(1)])))).toBeUndefined();
  });
});

describe('manifestDigest', () => {
  it('is that of the bytes, with the algorithm that is asked for', () => {
    const { bytes, mediaType, digest } = image(1);
    expect(manifestDigest(bytes, mediaType)).toBe(digest);
    expect(manifestDigest(bytes, mediaType, 'sha512')).toBe(digestOf(bytes, 'sha512'));
  });

  it('is that of the payload of a signed schema 1 manifest', () => {
    const built = schema1({ name: 'a', tag: 'b', layers: [one] });
    for (const type of [MANIFEST.dockerSchema1Signed, `${MANIFEST.dockerSchema1}; charset=utf-8`]) {
      expect(manifestDigest(built.bytes, type)).toBe(built.digest);
    }
    expect(manifestDigest(built.bytes, MANIFEST.ociManifest)).toBe(digestOf(built.bytes));
  });

  it.each([
    ['without signatures', { signatures: [] }],
    ['with a signature that is none', { signatures: [null] }],
    ['with a protected part that is no text', { signatures: [{ protected: 1 }] }],
    ['with a protected part that is no JSON', { signatures: [{ protected: 'AAAA' }] }],
    ['with a length beyond the bytes', { signatures: [{ protected: encoded({ formatLength: 1e9, formatTail: '' }) }] }],
    ['with a negative length', { signatures: [{ protected: encoded({ formatLength: -1, formatTail: '' }) }] }],
    [
      'with a length that is no number',
      { signatures: [{ protected: encoded({ formatLength: '1', formatTail: '' }) }] },
    ],
  ])('is that of the bytes of one %s', (_what, document) => {
    const { bytes, mediaType } = raw(MANIFEST.dockerSchema1Signed, document);
    expect(manifestDigest(bytes, mediaType)).toBe(digestOf(bytes));
  });

  it('is the one by which a registry knows the schema 1 manifest that it makes of another', async () => {
    const registry = await startRegistry({ name: 'schema1', schema1: true });
    try {
      const layers = [blob(2_000, 1), blob(2_000, 2)];
      const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
      const history = layers.map(() => ({ created: '2024-01-01T00:00:00Z', created_by: 'a test' }));
      const config = blob(JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs, history }));
      const pushed = dockerManifest({ layers, config });
      await pushImage({ url: registry.url, repository: 'a' }, 'old', pushed);
      const answer = await fetch(`${registry.url}/v2/a/manifests/old`, {
        headers: { accept: MANIFEST.dockerSchema1Signed },
      });
      const bytes = Buffer.from(await answer.arrayBuffer());
      const type = answer.headers.get('content-type')!;
      expect(type).toBe(MANIFEST.dockerSchema1Signed);
      expect(manifestDigest(bytes, type)).toBe(answer.headers.get('docker-content-digest'));
      expect(manifestDigest(bytes, type)).not.toBe(digestOf(bytes));
    } finally {
      await registry.close();
    }
  });
});

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

describe('isManifestOf', () => {
  const { bytes, mediaType } = image(1);

  it.each(['sha256', 'sha512'] as const)('compares with the algorithm of the digest: %s', (algorithm) => {
    expect(isManifestOf(digestOf(bytes, algorithm), bytes, mediaType)).toBe(true);
    expect(isManifestOf(digestOf(Buffer.from('x'), algorithm), bytes, mediaType)).toBe(false);
  });
});

describe('ACCEPT_ALL', () => {
  it.each([
    ['a Docker image', dockerManifest()],
    ['a Docker list', dockerList([dockerManifest()])],
    ['an OCI image', image(1)],
    ['an OCI index', index([image(1)])],
  ])('gets %s from a registry as it was pushed', async (_what, built) => {
    const registry = await startRegistry({ name: 'accept' });
    try {
      await pushImage({ url: registry.url, repository: 'a' }, 'tag', built);
      const answer = await fetch(`${registry.url}/v2/a/manifests/tag`, { headers: { accept: ACCEPT_ALL } });
      expect(Buffer.from(await answer.arrayBuffer())).toEqual(built.bytes);
    } finally {
      await registry.close();
    }
  });
});
