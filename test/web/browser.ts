// Debian's Chromium, one for a test file; each page over a mock site of its own, and what it complained of.
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { waitFor } from '../support/tool.ts';
import { launchBrowser } from './launch.ts';
import { startMockServer, type MockOptions, type MockServer } from './mock/server.ts';
import type { MockSite } from './mock/site.ts';

export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } as const;

export interface Opened {
  readonly page: Page;
  readonly mock: MockServer;
  /** Errors of the console and of scripts, broken policies: none is allowed after a test but those that it removes. */
  readonly complaints: string[];
}

let browser: Browser;
const open: Opened[] = [];

/** Starts the browser for all tests of the file; after each its pages are closed, and none may have complained. */
export function useBrowser(): void {
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterEach(async () => {
    const opened = open.splice(0);
    for (const { page, mock } of opened) {
      await page.context().close();
      await mock.close();
    }
    expect(opened.flatMap(({ complaints }) => complaints)).toEqual([]);
  });
  afterAll(() => browser.close());
}

/** Takes complaints that a test has caused on purpose from the list. */
export function forgive({ complaints }: Opened, pattern: RegExp): void {
  complaints.splice(0, complaints.length, ...complaints.filter((text) => !pattern.test(text)));
}

/** Opens the page at `hash` over `site`; motion is reduced, so that nothing has to be waited for. */
export async function openPage(
  site: MockSite,
  hash = '#/',
  options: BrowserContextOptions & { mock?: MockOptions } = {},
): Promise<Opened> {
  const { mock: mockOptions, ...given } = options;
  const mock = await startMockServer(site, mockOptions);
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: 'reduce',
    ...given,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  const opened = { page, mock, complaints };
  open.push(opened);
  await page.goto(`${mock.url}/${hash}`);
  return opened;
}

/** Waits for the page's title, which is set after what is shown. */
export async function titled(page: Page, title: string): Promise<void> {
  await waitFor(async () => (await page.title()) === title, { what: `the title ${title}` });
}
