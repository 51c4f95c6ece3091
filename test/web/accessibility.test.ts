// For all: axe finds nothing in either scheme, a phone shows all without scrolling sideways, the keyboard is enough.
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { forgive, openPage, PHONE, useBrowser } from './browser.ts';
import { disaster, firstStart, healthy, longNames, manyFailing, oneFailing } from './mock/scenarios.ts';

useBrowser();

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** In the dark only what colours decide is looked at: the rest is the same. */
async function violationsOf(page: Page, colorScheme: 'light' | 'dark'): Promise<string[]> {
  await page.evaluate(axe.source);
  const options = colorScheme === 'light' ? {} : { runOnly: ['color-contrast'] };
  const found = (await page.evaluate(`axe.run(document, ${JSON.stringify(options)})`)) as {
    violations: readonly Violation[];
  };
  return found.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary = '' }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`),
  );
}

/** Nothing is being loaded any more. */
async function settle(page: Page): Promise<void> {
  await page.locator('.card:visible').first().waitFor();
  await page.locator('.skeleton').first().waitFor({ state: 'detached' });
}

const IMAGE = '#/image?repository=shop/backend/search&reference=3.4.1';
const PAGES = [
  { name: 'the overview', site: oneFailing, hash: '#/' },
  { name: 'the overview of a disaster', site: disaster, hash: '#/' },
  { name: 'the overview of a first start', site: firstStart, hash: '#/' },
  { name: 'repositories', site: oneFailing, hash: '#/repositories' },
  { name: 'a repository', site: disaster, hash: '#/repository?name=shop/backend/search' },
  { name: 'an image', site: oneFailing, hash: IMAGE },
  { name: 'attention', site: disaster, hash: '#/attention' },
  { name: 'attention without need', site: healthy, hash: '#/attention' },
  { name: 'the doctor', site: healthy, hash: '#/doctor' },
  { name: 'the login', site: healthy, hash: '#/', token: 'sesame' },
] as const;

describe.each(['light', 'dark'] as const)('axe, %s', (colorScheme) => {
  it.each(PAGES)('finds nothing on $name', async (entry) => {
    const mock = 'token' in entry ? { mock: { token: entry.token } } : {};
    const { page } = await openPage(entry.site(), entry.hash, { colorScheme, ...mock });
    await settle(page);
    expect(await violationsOf(page, colorScheme)).toEqual([]);
  });

  it('finds nothing in a dialog and in messages', async () => {
    const opened = await openPage(disaster(), '#/attention', { colorScheme });
    const { page, mock } = opened;
    mock.failNext = { status: 409, error: 'not now' };
    await page.getByRole('button', { name: 'Retry all: all failed images' }).click();
    await page.locator('.toast.is-error').waitFor();
    await page.getByRole('button', { name: 'Confirm all 3: all held removals' }).click();
    await page.getByRole('dialog').waitFor();
    expect(await violationsOf(page, colorScheme)).toEqual([]);
    forgive(opened, /status of 409/);
  });
});

describe('a phone', () => {
  it.each([
    ...PAGES.filter((entry) => !('token' in entry)),
    { name: 'long names', site: longNames, hash: '#/' },
    { name: 'long names in need', site: longNames, hash: '#/attention' },
    { name: 'long names in the list', site: longNames, hash: '#/repositories' },
    { name: 'many failing images', site: manyFailing, hash: '#/attention' },
  ])('shows $name without scrolling sideways', async ({ site, hash }) => {
    const { page } = await openPage(site(), hash, PHONE);
    await settle(page);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
  });
});

/** The name of the element that has the focus. */
function focused(page: Page): Promise<unknown> {
  return page.evaluate('(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()');
}

describe('the keyboard', () => {
  it('skips to the content, and reaches the button of the failing image', async () => {
    const { page } = await openPage(oneFailing());
    await page.getByRole('button', { name: 'Retry: shop/backend/search:3.4.1' }).waitFor();
    await page.keyboard.press('Tab');
    expect(await focused(page)).toBe('Skip to the content');
    await page.keyboard.press('Enter');
    const reached: unknown[] = [];
    for (let presses = 0; presses < 3; presses += 1) {
      await page.keyboard.press('Tab');
      reached.push(await focused(page));
    }
    expect(reached).toEqual([
      '1 image fails to replicate',
      'shop/backend/search:3.4.1',
      'Retry: shop/backend/search:3.4.1',
    ]);
    await page.keyboard.press('Enter');
    await page.getByText('1 image queued').first().waitFor();
  });

  it('goes to another page, whose heading has the focus then', async () => {
    const { page } = await openPage(oneFailing());
    await page.getByTestId('badge').waitFor();
    await page.getByRole('link', { name: 'Attention 1 problems' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Attention' }).waitFor();
    expect(await focused(page)).toBe('Attention');
    expect(await page.locator('nav [aria-current=page]').textContent()).toMatch(/^Attention/);
  });

  it('finds the search with /, from any page', async () => {
    const { page } = await openPage(oneFailing());
    await page.getByTestId('badge').waitFor();
    await page.keyboard.press('/');
    await page.getByRole('searchbox').waitFor();
    await page.keyboard.type('gra/fana');
    expect(await page.getByRole('searchbox').inputValue()).toBe('gra/fana');
    await page.goto(`${page.url().split('#')[0]}#/repository?name=ops/dns`);
    await page.getByRole('row').nth(1).waitFor();
    await page.keyboard.press('/');
    expect(await page.getByRole('searchbox').evaluate((element) => element.matches(':focus'))).toBe(true);
  });
});

describe('colours', () => {
  it('are the system’s until a person chooses, and the choice is kept', async () => {
    const { page } = await openPage(healthy(), '#/', { colorScheme: 'light' });
    const background = () => page.evaluate('getComputedStyle(document.documentElement).backgroundColor');
    await page.getByTestId('badge').waitFor();
    const light = await background();
    await page.getByRole('button', { name: 'Colours: as the system' }).click();
    await page.getByRole('button', { name: 'Colours: light' }).click();
    await page.getByRole('button', { name: 'Colours: dark' }).waitFor();
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.reload();
    await page.getByRole('button', { name: 'Colours: dark' }).waitFor();
    expect(await background()).toBe(dark);
  });
});
