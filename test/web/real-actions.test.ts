// The page's actions over a real proxy and two real registries: each does at the registries what it says.
import { writeFile } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { blob } from '../support/content.ts';
import { manifest } from '../support/image.ts';
import { scaled } from '../support/patience.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { deleteManifest, pushImage } from '../support/push.ts';
import { waitFor } from '../support/tool.ts';
import { launchBrowser } from './launch.ts';

const layer = blob(5_000, 'the layer of the page’s actions');
const kept = manifest({ config: blob('{"kept":true}'), layers: [layer] });
const removed = manifest({ config: blob('{"removed":true}'), layers: [] });

let browser: Browser;
let site: ProxySite;
let page: Page;
const complaints: string[] = [];

beforeAll(async () => {
  browser = await launchBrowser();
  // Every removal waits for a person.
  const env = { GEO_REPLICATION: 'on', GEO_REMOVAL_LIMIT: '0%', GEO_RECONCILE_INTERVAL: '2s' };
  site = await startProxySite({ env });
  await pushImage(site.primaryTarget('shop/web'), 'v1', kept);
  await pushImage(site.primaryTarget('shop/old'), 'v1', removed);
  page = await browser.newPage({ reducedMotion: 'reduce' });
  page.setDefaultTimeout(scaled(15_000));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

async function go(hash: string): Promise<void> {
  await page.goto(`${site.proxy.adminUrl}/${hash}`);
}

async function tags(): Promise<Readonly<Record<string, number>>> {
  const answer = await fetch(`${site.proxy.adminUrl}/api/status`);
  const { replication } = (await answer.json()) as { replication: { tags: Record<string, number> } };
  return replication.tags;
}

/** The status of a manifest in the secondary registry itself. */
async function statusHere(repository: string, reference: string): Promise<number> {
  const { url, token } = site.secondaryTarget(repository);
  const response = await fetch(`${url}/v2/${repository}/manifests/${reference}`, {
    method: 'HEAD',
    headers: { authorization: `Bearer ${token}`, accept: kept.mediaType },
  });
  return response.status;
}

it('copies, verifies, takes a mark away and removes, each by its button', { timeout: scaled(120_000) }, async () => {
  await go('#/');
  await page.getByRole('button', { name: 'Backfill: this site' }).click();
  await page.getByText(/this site: (Backfill started|A backfill runs already)/).waitFor();
  // Only what is synced is verified.
  await waitFor(async () => (await tags()).synced === 2, { what: 'both images to be synced', timeout: 30_000 });
  expect([await statusHere('shop/web', 'v1'), await statusHere('shop/old', 'v1')]).toEqual([200, 200]);

  await writeFile(site.secondary.blobFile(layer.digest), 'x'.repeat(layer.size));
  await go('#/repository?name=shop/web');
  await page.getByRole('button', { name: 'Verify: shop/web', exact: true }).click();
  await page.getByText('shop/web: Verification started').waitFor();
  await go('#/attention');
  const damaged = page.getByRole('region', { name: 'Damaged here' });
  await damaged.getByText(layer.digest.slice(7, 19)).first().waitFor();
  await page.getByRole('button', { name: `Remove mark: blob ${layer.digest.slice(7, 19)}` }).click();
  const sure = page.getByRole('button', { name: 'Remove the mark' });
  await sure.waitFor();
  // A file that is still damaged would be marked again.
  await writeFile(site.secondary.blobFile(layer.digest), layer.bytes);
  await sure.click();
  // The proxy looks at it again by itself, too.
  await page
    .getByText(/1 mark removed|No mark was left/)
    .first()
    .waitFor();
  await damaged.waitFor({ state: 'hidden' });

  await deleteManifest(site.primaryTarget('shop/old'), removed.digest);
  const held = page.getByRole('region', { name: 'Removals on hold' });
  await held.getByText('shop/old').first().waitFor();
  expect(await statusHere('shop/old', 'v1')).toBe(200);
  await held.getByRole('button', { name: /^Confirm all/ }).click();
  await page
    .getByRole('dialog')
    .getByRole('button', { name: /^Remove \d/ })
    .click();
  await page.getByText(/all held removals: \d removals? confirmed/).waitFor();
  await waitFor(async () => (await statusHere('shop/old', 'v1')) === 404, { what: 'the removal in the secondary' });
  await held.waitFor({ state: 'hidden' });
  expect(complaints).toEqual([]);
});
