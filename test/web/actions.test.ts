// Actions in place: what each posts, and what it shows of what came of it.
import { describe, expect, it } from 'vitest';
import { forgive, openPage, titled, useBrowser } from './browser.ts';
import { digestOf } from './mock/data.ts';
import { disaster, healthy, manyFailing, oneFailing } from './mock/scenarios.ts';

useBrowser();

describe('an action', () => {
  it('retries the one failing image from the overview; the page follows by itself', async () => {
    const { page, mock } = await openPage(oneFailing());
    await page.getByRole('button', { name: 'Retry: shop/backend/search:3.4.1' }).click();
    await page.getByRole('status').getByText('shop/backend/search:3.4.1: 1 image queued').waitFor();
    expect(mock.actions).toEqual([{ name: 'retry', body: { repository: 'shop/backend/search', reference: '3.4.1' } }]);
    await page.getByTestId('badge').filter({ hasText: 'Healthy' }).waitFor();
    await titled(page, 'Healthy · berlin');
  });

  it('retries everything', async () => {
    const { page, mock } = await openPage(manyFailing(), '#/attention');
    await page.getByRole('button', { name: 'Retry all: all failed images' }).click();
    await page.getByText('5,001 images queued').first().waitFor();
    expect(mock.actions).toEqual([{ name: 'retry', body: {} }]);
  });

  it('retries what fails for one reason', async () => {
    const { page, mock } = await openPage(manyFailing(), '#/attention');
    const { groups } = (await (await fetch(`${mock.url}/api/attention`)).json()) as {
      groups: { cause: string; count: number }[];
    };
    const { cause, count } = groups[0]!;
    await page.getByRole('button', { name: `Retry these ${count.toLocaleString('en-US')}: ${cause}` }).click();
    await page.getByText(`${cause}: ${count.toLocaleString('en-US')} images queued`).waitFor();
    expect(mock.actions).toEqual([{ name: 'retry', body: { cause } }]);
  });

  it.each([
    { action: 'verify', label: 'Verify', told: 'Verification started' },
    { action: 'backfill', label: 'Backfill', told: 'Backfill started' },
  ])('$action runs for the site and for a repository', async ({ action, label, told }) => {
    const { page, mock } = await openPage(healthy());
    await page.getByRole('button', { name: `${label}: this site` }).click();
    await page.getByText(`this site: ${told}`).waitFor();
    await page.goto(`${mock.url}/#/repository?name=ops/grafana`);
    await page.getByRole('button', { name: `${label}: ops/grafana`, exact: true }).click();
    await page.getByText(`ops/grafana: ${told}`).waitFor();
    expect(mock.actions).toEqual([
      { name: action, body: {} },
      { name: action, body: { repository: 'ops/grafana' } },
    ]);
  });

  it('verifies and retries one tag', async () => {
    const { page, mock } = await openPage(oneFailing(), '#/repository?name=shop/backend/search');
    await page.getByRole('button', { name: 'Verify: shop/backend/search:latest' }).click();
    await page.getByRole('button', { name: 'Retry: shop/backend/search:3.4.1' }).click();
    await page.getByText('shop/backend/search:3.4.1: 1 image queued').waitFor();
    expect(mock.actions).toEqual([
      { name: 'verify', body: { repository: 'shop/backend/search', reference: 'latest' } },
      { name: 'retry', body: { repository: 'shop/backend/search', reference: '3.4.1' } },
    ]);
  });

  it('retries what failed in a repository from the list', async () => {
    const { page, mock } = await openPage(oneFailing(), '#/repositories?state=failed');
    await page.getByRole('button', { name: 'Retry: shop/backend/search' }).click();
    await page.getByText('shop/backend/search: 1 image queued').waitFor();
    expect(mock.actions).toEqual([{ name: 'retry', body: { repository: 'shop/backend/search' } }]);
  });

  it('shows why it was refused, until it is closed', async () => {
    const opened = await openPage(healthy());
    const { page, mock } = opened;
    mock.failNext = { status: 409, error: 'a backfill of ops/dns is not done yet: ask again when it has ended' };
    await page.getByRole('button', { name: 'Backfill: this site' }).click();
    await page.getByText('this site: a backfill of ops/dns is not done yet').waitFor();
    await page.getByRole('button', { name: 'Close this message' }).click();
    expect(await page.locator('.toast').count()).toBe(0);
    // The result stays beside the button.
    await page.locator('.action-result.is-error').waitFor();
    forgive(opened, /status of 409/);
  });
});

describe('what deletes', () => {
  it('asks first, and does nothing on Escape or Cancel', async () => {
    const { page, mock } = await openPage(disaster(), '#/attention');
    const button = page.getByRole('button', { name: 'Confirm all 3: all held removals' });
    await button.click();
    const dialog = page.getByRole('dialog', { name: 'Remove 3 images from this site?' });
    await dialog.waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    expect(await button.evaluate((element) => element.matches(':focus'))).toBe(true);
    await button.click();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'hidden' });
    expect(mock.actions).toEqual([]);
  });

  it('confirms all removals, or one', async () => {
    const { page, mock } = await openPage(disaster(), '#/attention');
    await page.getByRole('button', { name: 'Confirm: ops/dns:1.0' }).click();
    await page.getByRole('button', { name: 'Remove 1 image', exact: true }).click();
    await page.getByText('ops/dns:1.0: 1 removal confirmed').waitFor();
    await page.getByRole('button', { name: 'Confirm all 2: all held removals' }).click();
    await page.getByRole('button', { name: 'Remove 2 images', exact: true }).click();
    await page.getByText('all held removals: 2 removals confirmed').waitFor();
    await page.getByRole('region', { name: 'Removals on hold' }).waitFor({ state: 'hidden' });
    expect(mock.actions).toEqual([
      { name: 'confirm-removals', body: { repository: 'ops/dns', reference: '1.0' } },
      { name: 'confirm-removals', body: {} },
    ]);
  });

  it('removes the mark of one damaged blob', async () => {
    const { page, mock } = await openPage(disaster(), '#/attention');
    const digest = digestOf('one');
    await page.getByRole('button', { name: `Remove mark: blob ${digest.slice(7, 19)}` }).click();
    await page.getByRole('button', { name: 'Remove the mark' }).click();
    await page.getByText('1 mark removed').first().waitFor();
    await page.getByRole('region', { name: 'Damaged here' }).waitFor({ state: 'hidden' });
    expect(mock.actions).toEqual([{ name: 'clear-damaged', body: { repository: 'shop/frontend/web', digest } }]);
  });
});
