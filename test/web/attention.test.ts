// What needs attention, and the doctor.
import { describe, expect, it } from 'vitest';
import { openPage, useBrowser } from './browser.ts';
import { disaster, healthy, manyFailing } from './mock/scenarios.ts';

useBrowser();

describe('attention', () => {
  it('groups what fails by its exact cause, with what to do', async () => {
    const { page } = await openPage(disaster(), '#/attention');
    const group = page.getByRole('region', { name: 'the primary registry does not answer: connection refused' });
    await group.waitFor();
    expect(await group.textContent()).toMatch(/does not answer14 images/);
    await page.getByText('Update the secondary registry to the primary’s version').waitFor();
    const tried = page.getByRole('row').filter({ hasText: 'shop/backend/search:3.4.1' });
    expect(await tried.textContent()).toContain('trying again now');
  });

  it('tells apart what is damaged here, missing here and missing at the primary', async () => {
    const { page } = await openPage(disaster(), '#/attention');
    const advice = (name: string) =>
      page.getByRole('region', { name, exact: true }).locator('.advice').first().textContent();
    await page.getByRole('region', { name: 'Missing here' }).waitFor();
    expect(await advice('Damaged here')).toContain('Delete the file');
    expect(await advice('Missing here')).toContain('Nothing needs to be deleted');
    expect(await advice('Missing at the primary')).toContain('push the image again at the primary');
  });

  it('shows what is wrong with the site, held removals, and notifications that were not understood', async () => {
    const { page } = await openPage(disaster(), '#/attention');
    const text = (name: string) => page.getByRole('region', { name, exact: true }).textContent();
    await page.getByRole('region', { name: 'Removals on hold' }).waitFor();
    expect(await text('This site')).toContain('12 notifications were refused: wrong token');
    expect(await text('Removals on hold')).toMatch(/3 images.*GEO_REMOVAL_LIMIT.*ops\/dns:1.0/);
    expect(await text('Notifications not understood')).toContain('events[0].target.repository is missing');
  });

  it('lets removals wait until everything was compared', async () => {
    const site = disaster();
    const removals = { ...site.status.replication.removals, suspension: { because: 'first start', isCompared: false } };
    site.status = { ...site.status, replication: { ...site.status.replication, removals: removals as never } };
    const { page } = await openPage(site, '#/attention');
    await page.getByText('A compare run has to end first').waitFor();
    expect(await page.getByRole('button', { name: /^Confirm/ }).count()).toBe(0);
  });

  it('keeps 5,000 failing images usable, a page at a time', async () => {
    const { page } = await openPage(manyFailing(), '#/attention');
    await page.getByRole('link', { name: 'Show all 5,000' }).click();
    await page.getByText('1–100 of 5,000').waitFor();
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByText('101–200 of 5,000').waitFor();
    await page.getByRole('row').filter({ hasText: 'build-10100' }).waitFor();
    expect(await page.locator('*').count()).toBeLessThan(3_000);
  });

  it('says that nothing needs attention only where nothing does', async () => {
    const { page, mock } = await openPage(healthy(), '#/attention');
    await page.getByText('Nothing needs attention').waitFor();
    mock.site = disaster();
    mock.push();
    await page.getByRole('region', { name: 'Removals on hold' }).waitFor();
    expect(await page.getByText('Nothing needs attention').count()).toBe(0);
  });
});

describe('the doctor', () => {
  it('shows its findings, the worst first, with what to do, and runs again', async () => {
    const { page, mock } = await openPage(healthy(), '#/doctor');
    await page.getByText('1 warning, 6 fine, 1 skipped').waitFor();
    const findings = page.locator('.finding');
    expect(await findings.first().textContent()).toMatch(/Notifications.*Push something to the primary/);
    mock.site.findings = [{ check: 'Clock', level: 'error', text: 'An hour off', advice: 'Start NTP.' }];
    await page.getByRole('button', { name: 'Run again' }).click();
    await page.getByText('1 error', { exact: true }).waitFor();
    expect(await findings.first().textContent()).toContain('Start NTP.');
  });
});
