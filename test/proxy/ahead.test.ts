// F10: the primary is asked before the client asks, for what the client is about to want and for nothing else.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { blob, type Blob } from '../support/content.ts';
import { foreignImage, manifest, mediaTypes, type Manifest } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import type { RelayMatch } from '../support/relay.ts';
import { isStored, untilStored } from '../fill/secondary.ts';

const headers = { accept: Object.values(mediaTypes).join(', ') };

let site: ProxySite;

beforeAll(async () => {
  const urlsAllow = ['^https?://'];
  site = await startProxySite({ primary: { urlsAllow }, env: { GEO_REPLICATION_BANDWIDTH: '1KiB' } });
});
afterEach(() => site.relay.reset());
afterAll(() => site.close());

async function pushed(repository: string): Promise<Manifest & { readonly layer: Blob }> {
  const layer = blob(1_000_000, repository);
  const content = manifest({ layers: [layer] });
  await pushImage(site.primaryTarget(repository), 'v1', content);
  return { ...content, layer };
}

const manifestsOf =
  (repository: string): RelayMatch =>
  ({ method, path }) =>
    method === 'GET' && path.startsWith(`/v2/${repository}/manifests/`);

test('a HEAD of a tag fetches the manifest that the GET after it gets from memory', async () => {
  const { digest, bytes } = await pushed('ahead/head');
  const head = await site.ask('ahead/head/manifests/v1', { method: 'HEAD', headers });
  expect(head).toMatchObject({ status: 200, headers: { 'docker-content-digest': digest } });
  expect(site.relay.count(manifestsOf('ahead/head'))).toBe(1);
  const get = await site.ask(`ahead/head/manifests/${digest}`, { headers });
  expect(get.body.equals(bytes)).toBe(true);
  expect(site.relay.count(manifestsOf('ahead/head'))).toBe(1);
});

test('a HEAD starts no blob on a client’s behalf, and the GET after it does', async () => {
  const [looked, pulled] = [await pushed('ahead/looked'), await pushed('ahead/pulled')];
  // What a HEAD marks comes in the background, for which the limit leaves nothing to speak of.
  await site.ask('ahead/looked/manifests/v1', { method: 'HEAD', headers });
  await site.ask('ahead/pulled/manifests/v1', { headers });
  await untilStored(site, 'ahead/pulled', pulled.layer);
  expect(await isStored(site, 'ahead/looked', looked.layer)).toBe(false);
  await site.ask(`ahead/looked/manifests/${looked.digest}`, { headers });
  await untilStored(site, 'ahead/looked', looked.layer);
});

test('a layer that has URLs is started, too: the primary may have it', async () => {
  const layer = blob(1_000_000, 'ahead, foreign');
  await pushImage(site.primaryTarget('ahead/foreign'), 'v1', foreignImage(layer));
  await site.ask('ahead/foreign/manifests/v1', { headers });
  await untilStored(site, 'ahead/foreign', layer);
});
