import { truncate } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { blob } from '../support/content.ts';
import { image } from '../support/image.ts';
import { pushBlob, pushImage, type Target } from '../support/push.ts';
import { startRegistry, type Registry, type RegistryOptions } from '../support/registry.ts';

const open: Registry[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((registry) => registry.close()));
});

async function start(options: Partial<RegistryOptions> = {}): Promise<Registry & { target: Target }> {
  const registry = await startRegistry({ name: 'test', ...options });
  open.push(registry);
  return Object.assign(registry, { target: { url: registry.url, repository: 'group/app' } });
}

const fetchBlob = (registry: Registry, digest: string): Promise<Response> =>
  fetch(`${registry.url}/v2/group/app/blobs/${digest}`, { redirect: 'manual' });

describe('startRegistry', () => {
  it('keeps its port and storage over a stop and a start', async () => {
    const registry = await start();
    const content = blob(1_000);
    await pushBlob(registry.target, content);
    await registry.stop();
    expect(registry.stopped).toBe(true);
    await expect(fetch(registry.url)).rejects.toThrow('fetch failed');
    await registry.start();
    expect(registry.stopped).toBe(false);
    expect(Buffer.from(await (await fetchBlob(registry, content.digest)).arrayBuffer())).toEqual(content.bytes);
  });

  it('refuses writes after a start as read-only', async () => {
    const registry = await start();
    await registry.stop();
    await registry.start({ readOnly: true });
    await expect(pushBlob(registry.target, blob(10))).rejects.toThrow(': 405 ');
  });

  it('fetches through from another registry', async () => {
    const upstream = await start();
    const pushed = image('through');
    await pushImage(upstream.target, 'v1', pushed);
    const cache = await start({ remoteUrl: upstream.url });
    const headers = { accept: pushed.mediaType };
    const response = await fetch(`${cache.url}/v2/group/app/manifests/v1`, { headers });
    expect(response.headers.get('docker-content-digest')).toBe(pushed.digest);
  });

  it('redirects blobs when told to', async () => {
    const registry = await start({ redirectTo: 'http://storage.example.com/' });
    const content = blob(10);
    await pushBlob(registry.target, content);
    const response = await fetchBlob(registry, content.digest);
    expect(response.status).toBe(307);
    expect(response.headers.get('location')).toMatch(/^http:\/\/storage\.example\.com\//);
  });

  it('names the file of a blob: a truncated one is served as a shorter blob of the same digest', async () => {
    const registry = await start();
    const content = blob(1_000);
    await pushBlob(registry.target, content);
    await truncate(registry.blobFile(content.digest), 10);
    const response = await fetchBlob(registry, content.digest);
    expect(response.headers.get('docker-content-digest')).toBe(content.digest);
    expect(await response.bytes()).toHaveLength(10);
  });

  it('serves a truncated blob with the right headers and a short body when it caches descriptors', async () => {
    const registry = await start({ descriptorCache: 'inmemory' });
    const content = blob(1_000);
    await pushBlob(registry.target, content);
    await truncate(registry.blobFile(content.digest), 10);
    const response = await fetchBlob(registry, content.digest);
    expect(response.headers.get('content-length')).toBe('1000');
    await expect(response.bytes()).rejects.toThrow('terminated');
  });

  it('fails with the log when the port is taken', async () => {
    const { port } = await start();
    await expect(startRegistry({ name: 'second', port })).rejects.toThrow('address already in use');
  });
});
