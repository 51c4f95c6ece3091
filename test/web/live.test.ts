// The page follows the proxy by itself, says when it cannot, and takes up again.
import { describe, expect, it } from 'vitest';
import { forgive, openPage, titled, useBrowser } from './browser.ts';
import { failed, pull } from './mock/data.ts';
import { healthy } from './mock/scenarios.ts';

useBrowser();

const LOST = /ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET/;

describe('the page', () => {
  it('shows a new failure by itself, and is never loaded again', async () => {
    const { page, mock } = await openPage(healthy());
    await page.getByTestId('badge').filter({ hasText: 'Healthy' }).waitFor();
    await page.evaluate('window.isTheSame = true');
    mock.site.rows.push(failed('ops/dns', '9', 'disk quota exceeded'));
    mock.push();
    await page.getByTestId('badge').filter({ hasText: 'Degraded' }).waitFor();
    await page.getByText('disk quota exceeded').waitFor();
    await page.getByTestId('announcement').filter({ hasText: 'Degraded: 1 thing needs attention' }).waitFor();
    expect(await page.evaluate('window.isTheSame')).toBe(true);
  });

  it('says that the connection is lost and of when its data is, then catches up', async () => {
    const opened = await openPage(healthy());
    const { page, mock } = opened;
    await page.getByText('Live').waitFor();
    await mock.cut();
    await page.getByText(/^Connection lost, showing data of \d\d:\d\d:\d\d/).waitFor();
    await titled(page, 'Connection lost · berlin');
    expect(await page.getByTestId('badge').textContent()).toBe('Healthy');
    mock.site.pulls = [
      { ...pull(901, 0), kind: 'manifest', repository: 'missed/one', reference: 'x' },
      ...mock.site.pulls,
    ];
    await mock.resume();
    // It may have reconnected by itself meanwhile, and then there is no button.
    const press = page.getByRole('button', { name: 'Reconnect now' }).click();
    await Promise.race([page.getByText('Live').waitFor(), press.catch(() => undefined)]);
    await page.getByText('Live').waitFor();
    await page.getByRole('row').filter({ hasText: 'missed/one:x' }).waitFor();
    await titled(page, 'Healthy · berlin');
    forgive(opened, LOST);
  });

  it('shows the other pages where one cannot be drawn', async () => {
    // An answer of another version, say: a time that is none.
    const { page } = await openPage({ ...healthy(), pulls: [{ ...pull(902, 0), at: 7 as never }] });
    await page.getByText('This page could not be shown').waitFor();
    await page.getByRole('link', { name: 'Doctor' }).click();
    await page.getByText('1 warning, 6 fine, 1 skipped').waitFor();
  });

  it('reconnects without a person', async () => {
    const opened = await openPage(healthy());
    const { page, mock } = opened;
    await page.getByText('Live').waitFor();
    await mock.cut();
    await page.getByText('Connection lost, showing data of').waitFor();
    await mock.resume();
    await page.getByText('Live').waitFor();
    expect(await page.getByText('Connection lost').count()).toBe(0);
    forgive(opened, LOST);
  });

  it('keeps what a page has while it cannot be asked, and says what could not be loaded', async () => {
    const opened = await openPage(healthy(), '#/repositories');
    const { page, mock } = opened;
    await page.getByRole('row').filter({ hasText: 'ops/dns' }).waitFor();
    await mock.cut();
    await page.getByText('Connection lost, showing data of').waitFor();
    await page.getByRole('row').filter({ hasText: 'ops/dns' }).waitFor();
    await page.getByRole('link', { name: 'Doctor' }).click();
    await page.getByText('no answer from the proxy').waitFor();
    await mock.resume();
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('1 warning, 6 fine, 1 skipped').waitFor();
    forgive(opened, LOST);
  });
});
