// Debian's Chromium for tests, pictures and the benchmark.
import { chromium, type Browser } from 'playwright-core';
import { toolPath } from '../support/tool.ts';

// How Chromium is started: no sandbox (tests run as root), and nothing that asks other hosts.
const FLAGS: readonly string[] = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Glyphs lie where they belong, and not on whole pixels.
  '--font-render-hinting=none',
];

/** Starts it without a window. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: toolPath('chromium'), args: [...FLAGS], chromiumSandbox: false });
}
