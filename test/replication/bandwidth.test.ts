// GEO_REPLICATION_BANDWIDTH as operators set it: what nobody waits for comes slowly, and a client's pull as ever.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bodyOf, download } from '../fill/download.ts';
import { isStored, untilStored } from '../fill/secondary.ts';
import { blob } from '../support/content.ts';
import { manifest } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import { waitFor } from '../support/tool.ts';

let site: ProxySite;

beforeAll(async () => {
  site = await startProxySite({ env: { GEO_REPLICATION: 'on', GEO_REPLICATION_BANDWIDTH: '1KiB' } });
});
afterAll(() => site.close());

test('a layer comes slowly until a client wants it, and clients’ other layers come at once', async () => {
  const [layer, other] = [blob(3_000_000, 'replicated slowly'), blob(3_000_000, 'pulled meanwhile')];
  await pushImage(site.primaryTarget('r8/slow'), 'v1', manifest({ layers: [layer] }));
  await pushBlob(site.primaryTarget('r8/other'), other);
  // A look at the tag is enough for its image to be copied, and starts no blob on its client's behalf.
  expect(await site.ask('r8/slow/manifests/v1', { method: 'HEAD' })).toMatchObject({ status: 200 });
  await waitFor(() => site.relay.count(bodyOf(layer)) === 1, { what: 'the background transfer' });
  expect(await download(site, `r8/other/blobs/${other.digest}`)).toMatchObject({ digest: other.digest, whole: true });
  expect(await isStored(site, 'r8/slow', layer)).toBe(false);
  expect(await download(site, `r8/slow/blobs/${layer.digest}`)).toMatchObject({ digest: layer.digest, whole: true });
  await untilStored(site, 'r8/slow', layer);
  expect(site.relay.count(bodyOf(layer))).toBe(1);
});
