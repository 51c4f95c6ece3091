// Pulls while a blob of the secondary is damaged: what verification has found is not served from here.
import { open, rm, truncate } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { untilStored } from '../fill/secondary.ts';
import type { RowPage } from '../../src/status/row-listing.ts';
import { askAdmin, order, statusOf } from '../status/admin.ts';
import { blob, type SmallBlob } from '../support/content.ts';
import { manifest } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { waitFor } from '../support/tool.ts';

let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite({ env: { GEO_REPLICATION: 'on' }, knobs: { linger: 100 } });
});
afterAll(() => site.close());

async function flipBit(layer: SmallBlob): Promise<void> {
  await using file = await open(site.secondary.blobFile(layer.digest), 'r+');
  await file.write(Buffer.from([layer.bytes[layer.size - 2]! ^ 1]), 0, 1, layer.size - 2);
}

async function isLogged(digest: string, text: string): Promise<void> {
  await waitFor(() => site.log.some((line) => line['digest'] === digest && String(line['msg']).startsWith(text)), {
    what: `${text} of ${digest}`,
  });
}

test.each([
  ['a flipped bit', flipBit, 40_000],
  ['a flipped bit in a large one', flipBit, 1_500_000],
  ['a file cut off', (layer: SmallBlob) => truncate(site.secondary.blobFile(layer.digest), 20_000), 40_000],
])(
  '%s: clients get every byte, also after a restart, and from here once the file was removed',
  async (what, damage, size) => {
    const name = `pulled/${what.replaceAll(' ', '-')}`;
    const layer = blob(size, what);
    const path = `${name}/blobs/${layer.digest}`;
    await pushImage(site.primaryTarget(name), 'v1', manifest({ layers: [layer] }));
    expect((await site.ask(`${name}/manifests/v1`)).status).toBe(200);
    await untilStored(site, name, layer);
    const isSynced = (line: Record<string, unknown>): boolean =>
      line['repository'] === name && line['outcome'] === 'synced';
    await waitFor(() => site.log.some(isSynced), { what: 'the row' });
    await damage(layer);

    // The interval has passed since the first start: it verifies at once.
    await site.restart({ GEO_VERIFY_INTERVAL: '1ms' });
    await isLogged(layer.digest, 'damaged in the secondary');
    expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
    await site.restart();
    expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);

    await rm(site.secondary.blobFile(layer.digest));
    await site.restart({ GEO_VERIFY_INTERVAL: '1ms' });
    await untilStored(site, name, layer);
    const isFromHere = async (): Promise<boolean> => {
      site.relay.reset();
      expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
      return site.relay.count(({ path: asked }) => asked.includes(layer.digest)) === 0;
    };
    await waitFor(isFromHere, { what: 'a pull from here' });
  },
);

test('what a pull finds is told at once: the tag is not synced any more, and is again once the file was removed', async () => {
  await site.restart();
  const name = 'pulled/found';
  const layer = blob(1_500_000, 'found by a pull');
  const path = `${name}/blobs/${layer.digest}`;
  await pushImage(site.primaryTarget(name), 'v1', manifest({ layers: [layer] }));
  const before = (await statusOf(site)).damaged;
  expect((await site.ask(`${name}/manifests/v1`)).status).toBe(200);
  const state = async (): Promise<string | undefined> => {
    const { rows } = (await askAdmin(site, `/api/replication?repository=${name}`)).json as RowPage;
    return rows.find(({ reference }) => reference === 'v1')?.state;
  };
  await waitFor(async () => (await state()) === 'synced', { what: 'the image' });
  await truncate(site.secondary.blobFile(layer.digest), 500_000);

  expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
  await waitFor(async () => (await statusOf(site)).damaged === before + 1, { what: 'the damage to be told' });
  await waitFor(async () => (await state()) === 'failed', { what: 'the tag to be no longer synced' });
  expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);

  await rm(site.secondary.blobFile(layer.digest));
  expect((await order(site, 'retry', { repository: name })).status).toBe(202);
  await waitFor(async () => (await state()) === 'synced', { what: 'the tag to be synced again' });
  expect((await statusOf(site)).damaged).toBe(before);
});
