import { defineConfig } from 'vitest/config';

/** Long runs: the randomised tests with many times the commands, and whatever is too long for `npm test` altogether. */
export default defineConfig({
  test: {
    include: ['test/**/*.nightly.test.ts', 'test/conformance/*-differential.test.ts', 'test/fuzz/**/*.test.ts'],
    env: {
      CACHELAB_TEST_SCALE: process.env['CACHELAB_TEST_SCALE'] ?? '20',
      // A fresh one under CI too, where each file would take the constant one.
      TEST_SEED: process.env['TEST_SEED'] ?? String(Date.now() % 1_000_000_007),
    },
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 3_600_000,
    hookTimeout: 60_000,
  },
});
