// A pull right after a push, from cold to warm: what crosses the WAN, and that every byte is right.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { waitFor } from '../support/tool.ts';

let site: ProxySite;

beforeAll(async () => {
  site = await startProxySite();
});

afterAll(() => site.close());

async function isStored(repository: string, reference: string): Promise<boolean> {
  const { url, token } = site.secondaryTarget(repository);
  const response = await fetch(`${url}/v2/${repository}/manifests/${reference}`, {
    headers: { authorization: `Bearer ${token}`, accept: '*/*, application/vnd.oci.image.manifest.v1+json' },
  });
  await response.arrayBuffer();
  return response.status === 200;
}

test('a cold pull gives the primary’s bytes, then everything is in the secondary', async () => {
  const pushed = image('cold');
  await pushImage(site.primaryTarget('a/cold'), 'v1', pushed);
  const manifest = await site.ask('a/cold/manifests/v1');
  expect(manifest.status).toBe(200);
  expect(manifest.body.equals(pushed.bytes)).toBe(true);
  expect(manifest.headers).toMatchObject({
    'content-type': pushed.mediaType,
    'docker-content-digest': pushed.digest,
    'cache-control': 'private',
    etag: `"${pushed.digest}"`,
  });
  for (const blob of pushed.blobs) {
    const answer = await site.ask(`a/cold/blobs/${blob.digest}`);
    expect(answer.status).toBe(200);
    expect(answer.headers['docker-content-digest']).toBe(blob.digest);
    expect(answer.body.length).toBe(blob.size);
  }
  await waitFor(() => isStored('a/cold', 'v1'), { what: 'the image in the secondary' });
  const blobBytes = site.relay.bodyBytes(({ method, path }) => method === 'GET' && path.includes('/blobs/'));
  expect(blobBytes).toBe(pushed.blobs.reduce((sum, { size }) => sum + size, 0));
});
