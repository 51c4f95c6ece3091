// The status page in Chromium over 100,000 rows, 5,000 of which fail: until something is painted, and until each
// page shows its table.
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { createSqliteStore } from '../../src/replication/store/sqlite.ts';
import { silent } from '../../test/replication/store/silent.ts';
import { startSites } from '../../test/support/sites.ts';
import { launchBrowser } from '../../test/web/launch.ts';
import type { Topic } from './bench.ts';
import { environment } from './environment.ts';
import { median, type Figure } from './figure.ts';
import { fillRows, REPOSITORIES, ROWS } from './many-rows.ts';
import { startProxyProcess } from './proxy-process.ts';

const FAILING = 5_000;
const CAUSE = 'a blob is missing';

/** What is waited for on each page: the pages with many rows, and the one that is opened first. */
const SHOWN: Readonly<Record<string, { hash: string; shown: string }>> = {
  'the overview': { hash: '#/', shown: '[data-testid=badge]' },
  [`${REPOSITORIES.toLocaleString('en')} repositories`]: { hash: '#/repositories', shown: 'tbody tr:nth-child(100)' },
  'one repository of 50 tags': {
    hash: '#/repository?name=group/project-7/image',
    shown: 'tbody tr:nth-child(50)',
  },
  [`${FAILING.toLocaleString('en')} failing images, the first 100`]: {
    hash: `#/attention?cause=${encodeURIComponent(CAUSE)}`,
    shown: 'tbody tr:nth-child(100)',
  },
};

/** Milliseconds that the browser says it took until it first painted something, from the beginning of the navigation. */
function firstPaint(page: Page): Promise<number> {
  return page.evaluate<number>(
    `new Promise((resolve) => new PerformanceObserver((list) => {
       const [entry] = list.getEntriesByName('first-contentful-paint');
       if (entry) resolve(entry.startTime);
     }).observe({ type: 'paint', buffered: true }))`,
  );
}

/** Milliseconds until `shown` is there: read by the page's own clock, since ours hears of it later. */
async function shownAfter(page: Page, shown: string): Promise<number> {
  await page.locator(shown).first().waitFor({ state: 'attached' });
  return page.evaluate<number>('performance.now()');
}

interface Times {
  readonly paint: number;
  readonly shown: number;
}

/** A first visit: nothing is in the browser's cache. */
async function visit(
  browser: Browser,
  adminUrl: string,
  { hash, shown }: { hash: string; shown: string },
): Promise<Times> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' });
  try {
    const page = await context.newPage();
    await page.goto(`${adminUrl}/${hash}`, { waitUntil: 'commit' });
    const [after, paint] = await Promise.all([shownAfter(page, shown), firstPaint(page)]);
    return { paint, shown: after };
  } finally {
    await context.close();
  }
}

function figure(name: string, values: readonly number[], atMost: number): Figure {
  return { name, value: median(values), unit: 'ms', limit: { atMost }, runs: values.length };
}

/** First visits of each page, in turns. */
export const page: Topic = {
  name: 'page',
  about: '100,000 rows, 5,000 failing: the status page in Chromium, first visits',
  async measure({ bin, runs }) {
    const sites = await startSites();
    const store = await createSqliteStore({ file: join(sites.dataDir, 'state.db'), log: silent });
    await fillRows(store, ROWS, (nth, { synced, failed }) => (nth < FAILING ? failed : synced));
    await store.close();
    const proxy = await startProxyProcess(bin, environment(sites));
    const browser = await launchBrowser();
    try {
      const paints: number[] = [];
      const shown = Object.fromEntries(Object.keys(SHOWN).map((name) => [name, [] as number[]]));
      for (let run = 0; run <= runs; run += 1) {
        for (const [name, what] of Object.entries(SHOWN)) {
          const times = await visit(browser, proxy.adminUrl, what);
          // The first run warms the browser and the program up.
          if (run === 0) continue;
          if (what.hash === '#/') paints.push(times.paint);
          shown[name]!.push(times.shown);
        }
      }
      return [
        figure('first paint of the overview', paints, 300),
        ...Object.entries(shown).map(([name, values]) => figure(`until shown: ${name}`, values, 1_000)),
      ];
    } finally {
      await browser.close();
      await proxy.stop();
      await sites.close();
    }
  },
};
