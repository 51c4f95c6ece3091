// The overview: the judgement, what needs a person, what is saved, pulls and replication.
import { describe, expect, it } from 'vitest';
import { openPage, titled, useBrowser } from './browser.ts';
import { digestOf, pull } from './mock/data.ts';
import { disaster, firstStart, healthy, longNames, manyFailing, oneFailing } from './mock/scenarios.ts';

useBrowser();

describe('the judgement', () => {
  it('is healthy where nothing is wrong, in badge, title and icon', async () => {
    const { page } = await openPage(healthy());
    await page.getByTestId('badge').filter({ hasText: 'Healthy' }).waitFor();
    await titled(page, 'Healthy · berlin');
    expect(await page.locator('link[rel=icon]').getAttribute('href')).toMatch(/^data:image\/svg\+xml,.*%231f9d63/);
    await page.getByText('Everything works').first().waitFor();
  });

  it('is degraded over one failed image, whatever the status says', async () => {
    const { page } = await openPage({ ...oneFailing(), claims: 'ok' });
    await page.getByTestId('badge').filter({ hasText: 'Degraded' }).waitFor();
    await titled(page, '(1) Degraded · berlin');
    await page.getByTestId('announcement').filter({ hasText: 'Degraded: 1 thing needs attention' }).waitFor();
  });

  it('names root causes before what follows from them', async () => {
    const { page } = await openPage(disaster());
    const problems = page.locator('.verdict .problem');
    await problems.nth(3).waitFor();
    const codes = await problems.evaluateAll((items) => items.map((item) => item.getAttribute('data-code')));
    expect(codes.slice(0, 2)).toEqual(['unreachable', 'failed']);
  });

  it('says that a site starts or that nothing answers', async () => {
    const site = healthy();
    site.status = { ...site.status, status: 'no registry answers', ready: false };
    const { page, mock } = await openPage(site);
    await page.getByTestId('badge').filter({ hasText: 'No registry answers' }).waitFor();
    mock.site.status = { ...site.status, status: 'starting' };
    mock.push();
    await page.getByTestId('badge').filter({ hasText: 'Starting' }).waitFor();
  });
});

describe('what is seen at once', () => {
  it('is the failing image, its cause, what to do and its button, without scrolling', async () => {
    const { page } = await openPage(oneFailing());
    const failing = page.locator('.failing');
    await failing.getByRole('link', { name: 'shop/backend/search:3.4.1' }).waitFor();
    expect(await failing.textContent()).toContain('400 MANIFEST_INVALID: unknown config media type');
    expect(await failing.textContent()).toContain('Update the secondary registry');
    const button = failing.getByRole('button', { name: 'Retry: shop/backend/search:3.4.1' });
    const box = (await button.boundingBox())!;
    expect(box.y + box.height).toBeLessThan(400);
  });

  it('is the WAN traffic that was saved today', async () => {
    const { page } = await openPage(oneFailing());
    const saved = page.getByTestId('saved-today');
    await saved.waitFor();
    expect(await saved.textContent()).toBe('41.7 GiB');
    expect((await saved.boundingBox())!.y).toBeLessThan(200);
  });

  it('stays short with thousands of failing images', async () => {
    const { page } = await openPage(manyFailing());
    await page.getByText('and 4,999 more').waitFor();
    expect(await page.locator('.failing').count()).toBe(2);
    await page.getByRole('button', { name: 'Retry all: all failed images' }).waitFor();
  });
});

describe('the parts of the site', () => {
  it('show both registries with state, latency and what they are', async () => {
    const { page } = await openPage(healthy());
    const primary = page.getByRole('region', { name: 'Primary registry' });
    await primary.waitFor();
    expect(await primary.textContent()).toMatch(
      /up.*https:\/\/primary.example.com:5050.*38 ms.*GitLab 4.39.*up for 3 d/,
    );
  });

  it('show why a registry is down, a refused webhook and a full spool', async () => {
    const { page } = await openPage(disaster());
    const text = (name: string) => page.getByRole('region', { name, exact: true }).textContent();
    await page.getByRole('region', { name: 'Spool' }).waitFor();
    expect(await text('Primary registry')).toMatch(/down.*connection refused.*down for 21 min/);
    expect(await text('Webhook')).toMatch(/refused.*last call 1 h ago.*12 refused/);
    expect(await text('Spool')).toMatch(/full.*19.6 GiB of 20.0 GiB.*717 MiB free/);
  });
});

describe('pulls', () => {
  it('are charted over the hour and the day, by requests and by bytes', async () => {
    const { page } = await openPage(healthy());
    await page.getByRole('img', { name: /^Requests per second by origin, last hour: [\d,]+ requests/ }).waitFor();
    await page.getByRole('button', { name: '24 h' }).click();
    await page.getByRole('button', { name: 'Bytes', exact: true }).click();
    await page.getByRole('img', { name: /^Bytes per second to clients by origin, last 24 hours/ }).waitFor();
    expect(await page.locator('.legend').textContent()).toMatch(/local registry [\d.]+ GiB/);
  });

  it('are listed with who, what, origin, size and cause, and can be narrowed to those that failed', async () => {
    const { page } = await openPage(healthy());
    const rows = page.getByRole('table', { name: 'The last pulls' }).getByRole('row');
    await rows.nth(12).waitFor();
    expect(await rows.count()).toBe(13);
    await page.getByRole('button', { name: 'Show all 200' }).click();
    expect(await rows.count()).toBe(201);
    await page.getByRole('button', { name: 'Failed', exact: true }).click();
    expect(await rows.nth(1).textContent()).toMatch(/no such tag "9.9.9" in .* at primary.example.com.*404/);
  });

  it('show up by themselves, the newest first', async () => {
    const { page, mock } = await openPage(healthy());
    await page.getByRole('table', { name: 'The last pulls' }).waitFor();
    mock.pushPulls([{ ...pull(900, 0), kind: 'manifest', repository: 'fresh/one', reference: 'now' }]);
    await page.getByRole('row').filter({ hasText: 'fresh/one:now' }).waitFor();
    expect(await page.locator('.pulls tbody tr').first().textContent()).toContain('fresh/one:now');
  });

  it('show transfers in flight with their progress', async () => {
    const { page } = await openPage(healthy());
    const row = page.getByRole('row').filter({ hasText: digestOf('cuda').slice(7, 19) });
    await row.waitFor();
    expect(await row.textContent()).toMatch(/data\/ml\/train-gpu.*64 % of 2.6 GiB.*88.0 MiB\/s.*4.*3.*client waits/);
  });
});

describe('replication', () => {
  it('shows states, queue by reason, lag, rate and time left', async () => {
    const { page } = await openPage(disaster());
    const card = page.getByRole('region', { name: 'Replication' });
    await card.waitFor();
    const text = (await card.textContent())!;
    for (const part of ['60 rechecking', '15 failed', '1 unsupported', '4 by pulls, 12 by pushes, 224 by backfill']) {
      expect(text).toContain(part);
    }
    expect(text).toMatch(/Lag21 min.*Copying9.4 MiB\/s.*Time left42 s/);
    expect(text).toContain('Paused: the primary registry does not answer');
  });

  it('shows each run with progress, rate and time left, or how it ended', async () => {
    const { page } = await openPage(healthy());
    await page.getByRole('progressbar', { name: 'Verification: progress' }).waitFor();
    const runs = await page.getByRole('list', { name: 'Runs' }).getByRole('listitem').allTextContents();
    expect(runs[0]).toMatch(/^Backfill ?ended 8 d ago702 images in 1 h 39 min/);
    expect(runs[1]).toMatch(/^Compare run ?ended 24 min ago/);
    expect(runs[2]).toMatch(/^Verification512 of 748, 0.6\/s, 6 min 33 s left/);
  });
});

describe('a first start', () => {
  it('says what to do next in each empty part', async () => {
    const { page } = await openPage(firstStart());
    await page.getByText('No pulls in the last hour').waitFor();
    await page.getByText('No image is known yet').waitFor();
    await page.getByRole('button', { name: 'Start a backfill: this site' }).waitFor();
    await page.getByText('The primary has not sent a notification yet').first().waitFor();
    await page.getByText('Pull an image through this site’s hostname').waitFor();
  });
});

describe('texts of registries and clients', () => {
  it('are shown as they are: no markup, no links of theirs, nothing that turns the direction', async () => {
    const { page } = await openPage(longNames());
    await page.locator('.pulls').waitFor();
    const text = (await page.locator('body').textContent())!;
    expect(text).toContain('<img src=x onerror=alert(1)>');
    expect(text).not.toMatch(/\u202e/);
    expect(await page.locator('img[src=x], a[href^="javascript:"]').count()).toBe(0);
  });
});
