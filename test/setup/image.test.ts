import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClientHome } from '../support/client-home.ts';
import { blob, digestOf, largeBlob, seededBytes } from '../support/content.ts';
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
import { createOciLayout } from '../support/oci-layout.ts';
import { deleteManifest, pushBlob, pushImage, putManifest, type Target } from '../support/push.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { schema1 } from '../support/schema1.ts';
import { tempDir } from '../support/tool.ts';

let registry: Registry;
let target: Target;

beforeAll(async () => {
  registry = await startRegistry({ name: 'images', schema1: true });
  target = { url: registry.url, repository: 'group/app' };
});
afterAll(() => registry.close());

const accept = Object.values(mediaTypes).join(', ');
const fetchManifest = (reference: string): Promise<Response> =>
  fetch(`${registry.url}/v2/group/app/manifests/${reference}`, { headers: { accept } });

describe('content', () => {
  it('depends on the seed alone', () => {
    expect(seededBytes(3_000_000, 'a').subarray(0, 5)).toEqual(seededBytes(5, 'a'));
    expect(seededBytes(5, 'b')).not.toEqual(seededBytes(5, 'a'));
  });

  it('is the same as a stream, every time it is read', async () => {
    const large = await largeBlob(3_000_000, 'a');
    for (let nth = 0; nth < 2; nth += 1) {
      expect(digestOf(Buffer.concat(await large.open().toArray()))).toBe(large.digest);
    }
    expect(large.digest).toBe(blob(3_000_000, 'a').digest);
  });
});

describe('a registry takes', () => {
  const child = image('child');
  const kinds: [string, Manifest][] = [
    ['an OCI image', manifest()],
    ['an OCI index', index([child, image('child 2')])],
    ['a Docker image', dockerManifest()],
    ['a Docker list', dockerList([dockerManifest({ architecture: 'arm64' })])],
    ['a BuildKit cache', buildCacheIndex([blob(100, 'a'), blob(100, 'b')])],
    ['an artifact with a subject', artifact(child, 'application/vnd.example.sbom', blob('sbom'))],
  ];

  it.each(kinds)('%s and gives it back byte for byte', async (_name, pushed) => {
    await pushImage(target, 'v1', pushed);
    const response = await fetchManifest('v1');
    expect(response.headers.get('content-type')).toBe(pushed.mediaType);
    expect(response.headers.get('docker-content-digest')).toBe(pushed.digest);
    expect(Buffer.from(await response.arrayBuffer())).toEqual(pushed.bytes);
  });

  it('a schema 1 manifest, and gives it back under its own signature', async () => {
    const pushed = schema1({ name: 'group/app', tag: 'old', layers: [blob(100, 'a'), blob(100, 'b')] });
    await pushImage(target, 'old', pushed);
    const response = await fetchManifest('old');
    expect(response.headers.get('docker-content-digest')).toBe(pushed.digest);
    const given = { ...JSON.parse(await response.text()), signatures: undefined };
    expect(given).toEqual({ ...JSON.parse(String(pushed.bytes)), signatures: undefined });
  });

  it('an image by digest alone, which can be deleted', async () => {
    const untagged = image('untagged');
    await pushImage(target, undefined, untagged);
    expect((await fetchManifest(untagged.digest)).status).toBe(200);
    await deleteManifest(target, untagged.digest);
    expect((await fetchManifest(untagged.digest)).status).toBe(404);
  });

  it('a large blob as a stream, and an empty one', async () => {
    for (const content of [await largeBlob(5_000_000), blob('')]) {
      await pushBlob(target, content);
      const response = await fetch(`${registry.url}/v2/group/app/blobs/${content.digest}`);
      const hash = createHash('sha256').update(await response.bytes());
      expect(`sha256:${hash.digest('hex')}`).toBe(content.digest);
    }
  });

  it('no manifest whose blobs are missing', async () => {
    await expect(putManifest(target, 'v1', image('never pushed'))).rejects.toThrow('MANIFEST_BLOB_UNKNOWN');
  });
});

describe('createOciLayout', () => {
  it('makes an image that skopeo pushes and reads', async () => {
    const [dir, home] = [await tempDir(), await createClientHome()];
    const { reference, manifest: pushed } = await createOciLayout({ dir: dir.path, message: 'first' });
    const destination = `docker://127.0.0.1:${registry.port}/group/busybox:1`;
    await home.runOrThrow('skopeo', 'copy', '--dest-tls-verify=false', reference, destination);
    const printed = await home.runOrThrow('skopeo', 'inspect', '--tls-verify=false', destination);
    expect(JSON.parse(printed)).toMatchObject({ Digest: pushed.digest, Os: 'linux', Env: ['PATH=/bin'] });
    await Promise.all([dir.remove(), home.remove()]);
  });

  it('shares the busybox layer between images with other messages', async () => {
    const dir = await tempDir();
    const first = await createOciLayout({ dir: dir.path, message: 'first' });
    const second = await createOciLayout({ dir: dir.path, message: 'second' });
    await dir.remove();
    expect(second.manifest.digest).not.toBe(first.manifest.digest);
    expect(second.manifest.blobs[1]?.digest).toBe(first.manifest.blobs[1]?.digest);
  });
});
