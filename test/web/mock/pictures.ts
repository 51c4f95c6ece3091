// Takes the pictures of the README: node test/web/mock/pictures.ts
import { join, resolve } from 'node:path';
import { launchBrowser } from '../launch.ts';
import { oneFailing } from './scenarios.ts';
import { startMockServer } from './server.ts';

const directory = resolve(import.meta.dirname, '../../../docs/images');
const browser = await launchBrowser();
const mock = await startMockServer(oneFailing());
for (const colorScheme of ['light', 'dark'] as const) {
  const page = await browser.newPage({
    viewport: { width: 1280, height: 760 },
    deviceScaleFactor: 1,
    colorScheme,
    reducedMotion: 'reduce',
  });
  await page.goto(mock.url);
  await page.locator('.failing').waitFor();
  await page.getByRole('table', { name: 'The last pulls' }).waitFor();
  await page.getByRole('img', { name: /^Requests per second/ }).waitFor();
  await page.screenshot({ path: join(directory, `overview-${colorScheme}.png`) });
}
await browser.close();
await mock.close();
