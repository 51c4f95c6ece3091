// What is built: small, complete, and obedient to the strictest policy.
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openPage, useBrowser } from './browser.ts';
import { oneFailing } from './mock/scenarios.ts';

useBrowser();

const built = resolve(import.meta.dirname, '../../dist/web');
const read = (name: string): Buffer => readFileSync(resolve(built, name));

describe('the built page', () => {
  it('has each file plain, as brotli and as gzip, the same bytes', () => {
    const plain = readdirSync(built).filter((name) => !/\.(br|gz)$/.test(name));
    expect(plain.map((name) => name.replace(/-[A-Z0-9]{8}\./, '-HASH.')).sort()).toEqual([
      'app-HASH.css',
      'app-HASH.js',
      'favicon.svg',
      'index.html',
      'licences.txt',
    ]);
    for (const name of plain) {
      expect(brotliDecompressSync(read(`${name}.br`)).equals(read(name))).toBe(true);
      expect(gunzipSync(read(`${name}.gz`)).equals(read(name))).toBe(true);
    }
  });

  it('is at most 60 KiB over the wire', async () => {
    const { page, mock } = await openPage(oneFailing());
    await page.getByTestId('badge').waitFor();
    expect(mock.sent).toBeGreaterThan(10_000);
    expect(mock.sent).toBeLessThan(60 * 1024);
  });

  it('has no inline script or style, and asks no other host', async () => {
    expect(read('index.html').toString()).not.toMatch(/<script>|<style|style=|\son\w+=/);
    const { page, mock } = await openPage(oneFailing());
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.reload();
    await page.getByTestId('badge').waitFor();
    await page.getByRole('img', { name: /^Requests per second/ }).waitFor();
    expect(asked.filter((url) => !url.startsWith(mock.url) && !url.startsWith('data:image/svg+xml'))).toEqual([]);
  });

  it('breaks no policy: the browser reports no violation on any page', async () => {
    const { page, mock } = await openPage(oneFailing());
    await page.evaluate(
      'window.broken = []; document.addEventListener("securitypolicyviolation", (event) => broken.push(event.violatedDirective))',
    );
    for (const hash of ['#/repositories', '#/repository?name=ops/dns', '#/attention', '#/doctor', '#/']) {
      await page.goto(`${mock.url}/${hash}`);
      await page.locator('.card').first().waitFor();
      await page.locator('.skeleton').first().waitFor({ state: 'detached' });
    }
    expect(await page.evaluate('window.broken')).toEqual([]);
  });
});
