// How Chromium is started: no sandbox (tests run as root), and nothing that asks other hosts.
export const CHROMIUM_FLAGS: readonly string[] = [
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
