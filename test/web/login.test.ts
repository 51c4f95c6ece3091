// The login, where a token is set.
import { describe, expect, it } from 'vitest';
import { forgive, openPage, titled, useBrowser } from './browser.ts';
import { oneFailing } from './mock/scenarios.ts';

useBrowser();

const withToken = { mock: { token: 'sesame' } };

describe('the login', () => {
  it('asks for the token, says when it is wrong, and leads to the page that was asked for', async () => {
    const opened = await openPage(oneFailing(), '#/attention', withToken);
    const { page } = opened;
    const field = page.getByLabel('Admin token');
    await field.waitFor();
    await titled(page, 'Log in · berlin');
    expect(await field.evaluate((element) => element.matches(':focus'))).toBe(true);
    await field.fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').filter({ hasText: 'This is not the admin token' }).waitFor();
    await field.fill('sesame');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('heading', { name: 'Attention', level: 1 }).waitFor();
    await page.getByRole('row').filter({ hasText: 'shop/backend/search:3.4.1' }).waitFor();
    forgive(opened, /status of 401/);
  });

  it('keeps the token where scripts cannot read it', async () => {
    const { page } = await openPage(oneFailing(), '#/', withToken);
    await page.getByLabel('Admin token').fill('sesame');
    await page.keyboard.press('Enter');
    await page.getByTestId('badge').waitFor();
    expect(await page.evaluate('document.cookie + JSON.stringify(localStorage)')).not.toContain('sesame');
    const [cookie] = await page.context().cookies();
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict' });
  });

  it('ends with a logout, and comes again when the session has ended', async () => {
    const opened = await openPage(oneFailing(), '#/', withToken);
    const { page } = opened;
    const logIn = async () => {
      await page.getByLabel('Admin token').fill('sesame');
      await page.keyboard.press('Enter');
      await page.getByTestId('badge').waitFor();
    };
    await logIn();
    await page.getByRole('button', { name: 'Log out' }).click();
    await logIn();
    await page.context().clearCookies();
    // Whatever the page asks next ends it: this button, or a load of its own that comes first and takes the button away.
    const field = page.getByLabel('Admin token');
    await page.getByRole('button', { name: 'Retry: shop/backend/search:3.4.1' }).or(field).first().waitFor();
    await page.evaluate('document.querySelector(\'[aria-label="Retry: shop/backend/search:3.4.1"]\')?.click()');
    await field.waitFor();
    forgive(opened, /status of 401/);
  });

  it('is not there where no token is set', async () => {
    const { page } = await openPage(oneFailing());
    await page.getByTestId('badge').waitFor();
    expect(await page.getByRole('button', { name: 'Log out' }).count()).toBe(0);
  });
});
