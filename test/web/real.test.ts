// The page over a real proxy, two real registries between which one image cannot be copied, and a login.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { image } from '../support/image.ts';
import { scaled } from '../support/patience.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { titled } from './browser.ts';
import { launchBrowser } from './launch.ts';

const TOKEN = 'sesame-s3cret';
const ERRORS = { errors: [{ code: 'DENIED', message: 'the quota is exceeded' }] };

let browser: Browser;
let site: ProxySite;
const complaints: string[] = [];

beforeAll(async () => {
  browser = await launchBrowser();
  site = await startProxySite({ env: { GEO_REPLICATION: 'on', GEO_ADMIN_TOKEN: TOKEN } });
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

async function open(hash: string): Promise<Page> {
  const page = await browser.newPage({ reducedMotion: 'reduce' });
  page.setDefaultTimeout(scaled(30_000));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // The one before the login is refused.
    if (message.type() === 'error' && !message.text().includes('status of 401')) complaints.push(message.text());
  });
  await page.goto(`${site.proxy.adminUrl}/${hash}`);
  return page;
}

describe('the page over a real site', () => {
  it('shows the one image that fails with its cause; retried, it is copied, and the badge is healthy', async () => {
    site.localRelay.rules.push({
      match: ({ method, path }) => method === 'PUT' && path.includes('/manifests/'),
      answer: { status: 403, headers: { 'content-type': 'application/json' }, body: JSON.stringify(ERRORS) },
    });
    await pushImage(site.primaryTarget('shop/search'), 'v1', image('real page'));
    const page = await open('#/');
    await page.getByLabel('Admin token').fill(TOKEN);
    await page.keyboard.press('Enter');
    const badge = page.getByTestId('badge');
    await badge.waitFor();
    const authorization = `Bearer ${TOKEN}`;
    const order = await fetch(`${site.proxy.adminUrl}/api/replication/backfill`, {
      method: 'POST',
      headers: { authorization },
    });
    expect(order.status).toBe(202);
    const retry = page.getByRole('button', { name: 'Retry: shop/search:v1' });
    await retry.waitFor();
    await badge.filter({ hasText: 'Degraded' }).waitFor();
    await page.getByText('the quota is exceeded').first().waitFor();
    // Not before: it is tried again by itself, too.
    page.on('request', (request) => {
      if (request.url().endsWith('/retry')) site.localRelay.reset();
    });
    await retry.click();
    // It may be tried again by itself at this very moment: then nothing waits for a retry.
    await page
      .getByRole('status')
      .getByText(/^shop\/search:v1: (?:1 image queued|Nothing here waits for a retry)/)
      .waitFor();
    await badge.filter({ hasText: 'Healthy' }).waitFor();
    await titled(page, 'Healthy · test');
    expect(complaints).toEqual([]);
    await page.close();
  });

  it.each(['#/repositories', '#/repository?name=shop/search', '#/attention', '#/doctor'])(
    'draws %s from what the proxy answers',
    async (hash) => {
      const page = await open(hash);
      await page.getByLabel('Admin token').fill(TOKEN);
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1 }).waitFor();
      if (hash.startsWith('#/repositor')) await page.getByText('shop').first().waitFor();
      if (hash === '#/doctor') await page.getByText('clock', { exact: true }).first().waitFor();
      expect(complaints).toEqual([]);
      await page.close();
    },
  );

  it('draws an image with its layers, which are here', async () => {
    const page = await open('#/image?repository=shop/search&reference=v1');
    await page.getByLabel('Admin token').fill(TOKEN);
    await page.keyboard.press('Enter');
    await page
      .getByText(/docker pull .*shop\/search:v1/)
      .first()
      .waitFor();
    await page.getByRole('row').filter({ hasText: 'here' }).first().waitFor();
    expect(complaints).toEqual([]);
    await page.close();
  });
});
