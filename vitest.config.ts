import { defineConfig } from 'vitest/config';
import { scaled } from './test/support/patience.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/page.ts',
    // Two cores and real registries: a file at a time per core, generous limits (CONTRIBUTING.md), no retries that would hide
    // a flake.
    maxWorkers: 2,
    testTimeout: scaled(30_000),
    hookTimeout: scaled(60_000),
    retry: 0,
  },
});
