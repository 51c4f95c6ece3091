// Repositories, a repository, an image.
import { describe, expect, it } from 'vitest';
import { openPage, useBrowser } from './browser.ts';
import { disaster, firstStart, healthy, manyFailing, oneFailing } from './mock/scenarios.ts';

useBrowser();

describe('repositories', () => {
  it('are listed, searched, narrowed and sorted by the server, and the address keeps it', async () => {
    const { page } = await openPage(oneFailing(), '#/repositories');
    const rows = page.getByRole('table', { name: 'Repositories' }).locator('tbody tr');
    await rows.nth(28).waitFor();
    await page.getByLabel('Sort by').selectOption('most failed');
    await rows.first().filter({ hasText: 'shop/backend/search' }).waitFor();
    await page.getByRole('searchbox').fill('grafana');
    await rows.first().filter({ hasText: 'ops/grafana' }).waitFor();
    expect(await rows.count()).toBe(1);
    expect(page.url()).toMatch(/#\/repositories\?sort=failed&search=grafana$/);
    await page.getByRole('searchbox').fill('');
    await page.getByLabel('State').selectOption('failed');
    await page.getByText('1 found').waitFor();
    expect(await rows.first().textContent()).toContain('shop/backend/search');
  });

  it('are browsed by their groups', async () => {
    const { page } = await openPage(oneFailing(), '#/repositories');
    const tree = page.getByRole('navigation', { name: 'Groups' });
    await tree.getByRole('button', { name: 'shop: what is in it' }).click();
    await tree.getByRole('button', { name: 'shop/backend: what is in it' }).click();
    expect(await tree.getByRole('listitem').filter({ hasText: 'search' }).last().textContent()).toContain('1 failed');
    await tree.getByRole('link', { name: 'backend' }).click();
    await page.getByText('5 found').waitFor();
    await page.getByRole('heading', { name: 'shop/backend' }).waitFor();
  });

  it('come a page at a time', async () => {
    const { page } = await openPage(manyFailing(), '#/repositories');
    const rows = page.getByRole('table').locator('tbody tr');
    await page.getByText('1–100 of 119').waitFor();
    expect(await rows.count()).toBe(100);
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByText('101–119 of 119').waitFor();
    expect(await rows.count()).toBe(19);
    await page.getByRole('button', { name: 'Previous' }).click();
    await page.getByText('1–100 of 119').waitFor();
  });

  it('say what to do where there are none, or none matches', async () => {
    const { page } = await openPage(firstStart(), '#/repositories');
    await page.getByText('No repository is known yet').waitFor();
    await page.getByRole('searchbox').fill('x');
    await page.getByText('No repository matches').waitFor();
  });
});

describe('a repository', () => {
  it('shows its tags with state, digest, size, platforms and times', async () => {
    const { page } = await openPage(healthy(), '#/repository?name=ops/grafana');
    const row = page.getByRole('row').filter({ hasText: 'latest' });
    await row.waitFor();
    expect(await row.textContent()).toMatch(/latestsynced[0-9a-f]{12}[\d.]+ MiBamd64.*(ago|never)/);
  });

  it('keeps the last error of a tag in sight while it is tried again', async () => {
    const { page } = await openPage(disaster(), '#/repository?name=shop/backend/search');
    const row = page.getByRole('row').filter({ hasText: '3.4.1' });
    await row.waitFor();
    const text = (await row.textContent())!;
    expect(text).toContain('400 MANIFEST_INVALID');
    expect(text).toContain('5 attempts');
    expect(text).toContain('syncingtrying again now');
    expect(text).toContain('here missing');
  });

  it('is narrowed by its states, and searched', async () => {
    const { page } = await openPage(oneFailing(), '#/repository?name=shop/backend/search');
    await page.getByRole('link', { name: '1 failed' }).click();
    const rows = page.getByRole('table').locator('tbody tr');
    await rows.first().filter({ hasText: '3.4.1' }).waitFor();
    expect(await rows.count()).toBe(1);
    await page.getByLabel('State').selectOption('any');
    await page.getByRole('searchbox').fill('lat');
    await rows.first().filter({ hasText: 'latest' }).waitFor();
  });
});

describe('an image', () => {
  const hash = '#/image?repository=shop/backend/search&reference=3.4.1';

  it('shows both sides, its layers, platforms and referrers, and the line to pull it', async () => {
    const { page } = await openPage(oneFailing(), hash);
    await page.getByText('docker pull registry.berlin.example.com/shop/backend/search:3.4.1').waitFor();
    const region = (name: string) => page.getByRole('region', { name, exact: true }).textContent();
    expect(await region('At the primary')).toContain('found');
    expect(await region('Here')).toContain('not there');
    expect(await region('Replication')).toContain('MANIFEST_INVALID');
    expect(await region('Layers')).toMatch(/3 of 4 here.*not here yet/);
    expect(await region('Platforms')).toContain('linux/amd64');
    expect(await region('Signatures and attachments')).toContain('SBOM (SPDX)');
    await page.getByText('Show the JSON').click();
    await page.getByText('"schemaVersion": 2').waitFor();
  });

  it('copies the line and digests whole', async () => {
    const { page } = await openPage(oneFailing(), hash, { permissions: ['clipboard-read', 'clipboard-write'] });
    const read = () => page.evaluate('navigator.clipboard.readText()');
    await page.getByRole('button', { name: 'Copy the pull command' }).click();
    await page.getByText('Copied the pull command').waitFor();
    expect(await read()).toBe('docker pull registry.berlin.example.com/shop/backend/search:3.4.1');
    await page.getByRole('region', { name: 'At the primary' }).getByRole('button').click();
    await page.getByText(/^Copied digest/).waitFor();
    expect(await read()).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  it('leads nowhere else: an address that is no page says so', async () => {
    const { page } = await openPage(oneFailing(), '#/nonsense');
    await page.getByRole('link', { name: 'To the overview' }).click();
    await page.getByTestId('badge').waitFor();
  });
});
